package system

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is the required form of a decision. Nobody reads more than onePage.
var page = regexp.MustCompile(`^# (\d{4})\. (.+)\n
- Status: (accepted|superseded by \[\d{4}\]\([^)]+\))
- Date: \d{4}-\d\d-\d\d

## Context\n\n(?s:.+)
## Decision\n\n(?s:.+)
## Consequences\n\n(?s:.+)
## How it is held\n\n((?:- .+\n)+)$`)

const onePage = 50 // lines

// TestDecisions checks the pages of docs/decisions against their form and their
// index. TestDocuments checks that the tests that they name exist.
func TestDecisions(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(root(t), "docs", "decisions")
	index, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(folder, "[0-9]*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(string(index), "\n| ["); rows != len(pages) || rows == 0 {
		t.Errorf("the index has %d rows for %d pages", rows, len(pages))
	}
	for i, file := range pages {
		name := filepath.Base(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := page.FindStringSubmatch(string(text))
		if parts == nil {
			t.Errorf("%s does not have the form of a decision", name)
			continue
		}
		number, title, status, held := parts[1], parts[2], parts[3], parts[4]
		if want := fmt.Sprintf("%04d", i+1); number != want || !strings.HasPrefix(name, want+"-") {
			t.Errorf("%s has the number %s, want %s", name, number, want)
		}
		if lines := strings.Count(string(text), "\n"); lines > onePage {
			t.Errorf("%s has %d lines, more than a page of %d", name, lines, onePage)
		}
		if row := fmt.Sprintf("\n| [%s](%s) | %s | %s |\n", number, name, title, status); !strings.Contains(string(index), row) {
			t.Errorf("the index does not have the row%s", row)
		}
		for line := range strings.Lines(held) {
			if !strings.Contains(line, "](") {
				t.Errorf("%s is held by nothing: %s", name, line)
			}
		}
	}
}
