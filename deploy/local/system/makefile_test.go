package system

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMakefileQuotes: a repository may be in a folder with a space in its name,
// and what users set reaches the shell as a variable, never as a part of the
// command line.
func TestMakefileQuotes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	outside := regexp.MustCompile(`\$\((?:or )?\$?\(?(BASE|TAG|REGISTRY|IMAGES|GITHUB_OUTPUT|WHAT|PORT|ENV|CHECKS|SERVICE|REVISION|FROM|TO|RANGE|CHAOS|FUZZTIME|STAGED|DATA|VULN)\)`)
	for i, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "\t") {
			continue
		}
		for _, at := range regexp.MustCompile(`\$\(CURDIR\)`).FindAllStringIndex(line, -1) {
			if strings.Count(line[:at[0]], `"`)%2 == 0 {
				t.Errorf("Makefile:%d: the path of the repository is not quoted: %s", i+1, line)
			}
		}
		for _, at := range outside.FindAllStringIndex(line, -1) {
			if !strings.HasSuffix(line[:at[0]], "$(if ") {
				t.Errorf("Makefile:%d: make puts a user's text into the command line: %s", i+1, line)
			}
		}
	}
}
