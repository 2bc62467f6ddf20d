package system

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestThreatModel checks that every test named in docs/threat-model.md exists, and
// that its table lists every level 1 requirement once.
func TestThreatModel(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", "threat-model.md"))
	if err != nil {
		t.Fatal(err)
	}
	// A cell names a folder and one or more tests in it.
	tested := regexp.MustCompile("\\| `([^`]+)` ((?:`(?:Test|Fuzz)[^`]+`(?:, )?)+) \\|")
	one := regexp.MustCompile("`((?:Test|Fuzz)[^/`]+)/?([^`]*)`")
	cells := tested.FindAllStringSubmatch(string(text), -1)
	if len(cells) < 50 || len(cells) != strings.Count(string(text), "` `Test")+strings.Count(string(text), "` `Fuzz") {
		t.Errorf("%d cells with tests can be read", len(cells))
	}
	for _, cell := range cells {
		for _, test := range one.FindAllStringSubmatch(cell[2], -1) {
			if err := findTest(filepath.Join(root(t), cell[1]), test[1], test[2]); err != nil {
				t.Error(err)
			}
		}
	}
	for _, path := range regexp.MustCompile("[(,] ?`((?:pkg|services|migrations|deploy)/[^`]+)`").FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(root(t), path[1])); err != nil {
			t.Error(err)
		}
	}

	_, table, found := strings.Cut(string(text), "<!-- asvs -->\n")
	table, _, closed := strings.Cut(table, "<!-- end -->")
	if !found || !closed {
		t.Fatal("there is no table of requirements")
	}
	list, err := os.ReadFile(filepath.Join("testdata", "asvs.txt"))
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(list), "# level 2")
	id := regexp.MustCompile(`\bV[0-9]+\.[0-9]+\.[0-9]+\b`)
	level1, level2 := id.FindAllString(first, -1), id.FindAllString(second, -1)
	if len(level1) != 70 {
		t.Errorf("level 1 has %d requirements, want 70", len(level1))
	}
	var rows []string
	for line := range strings.Lines(table) {
		row := regexp.MustCompile(`^\| (V[0-9.]+) [^|]+ \| ([^|]*) \| ([^|]*)\|\n$`).FindStringSubmatch(line)
		if row == nil {
			if !strings.HasPrefix(line, "| requirement") && !strings.HasPrefix(line, "|--") {
				t.Errorf("not a row: %s", line)
			}
			continue
		}
		if slices.Contains(rows, row[1]) {
			t.Errorf("%s is there twice", row[1])
		}
		rows = append(rows, row[1])
		if !slices.Contains(level1, row[1]) && !slices.Contains(level2, row[1]) {
			t.Errorf("%s is no requirement that testdata/asvs.txt has", row[1])
		}
		excused := strings.HasPrefix(row[2], "not applicable") || strings.HasPrefix(row[2], "open") || row[1] == "V15.1.1" || row[1] == "V15.2.1" // done by people, and by make check STEPS=vuln
		if !tested.MatchString("| "+row[3]+"|") && (row[3] != "" || !excused) {
			t.Errorf("%s has neither a test nor a reason", row[1])
		}
	}
	for _, id := range level1 {
		if !slices.Contains(rows, id) {
			t.Errorf("%s is missing", id)
		}
	}
}
