package system

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// points is the number of points in the design document's test plan.
const points = 32

// TestPlan checks the test plan in docs/testing.md against the tests: each point
// has a row, and the test in it exists.
func TestPlan(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root(t), "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(readme), "<!-- plan -->\n")
	table, _, closed := strings.Cut(table, "<!-- end -->")
	if !found || !closed {
		t.Fatal("docs/testing.md has no table of the test plan")
	}
	rows := regexp.MustCompile("(?m)^\\| (.+) \\| `(.+)` \\| `(Test[^/`]+)/?([^`]*)` \\|$").FindAllStringSubmatch(table, -1)
	if len(rows) != points || strings.Count(table, "\n") != points+2 {
		t.Errorf("%d readable rows in %d lines, want one for each of %d points and a head", len(rows), strings.Count(table, "\n"), points)
	}
	for _, row := range rows {
		point, folder, test, subtest := row[1], row[2], row[3], row[4]
		if err := findTest(filepath.Join(root(t), folder), test, subtest); err != nil {
			t.Errorf("%s: %v", point, err)
		}
	}
}

// findTest returns an error unless a test of the folder has that name and contains
// the subtest's name.
func findTest(folder, test, subtest string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range parsed.Decls {
			if function, ok := declaration.(*ast.FuncDecl); ok && function.Name.Name == test {
				if subtest == "" || hasText(function, subtest) {
					return nil
				}
				return fmt.Errorf("%s in %s has no subtest %s", test, file, subtest)
			}
		}
	}
	return fmt.Errorf("there is no %s in %s", test, folder)
}

func hasText(in ast.Node, text string) (found bool) {
	ast.Inspect(in, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		found = found || ok && literal.Kind == token.STRING && literal.Value == strconv.Quote(text)
		return !found
	})
	return found
}
