package system

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestDocuments checks the Markdown files against the repository: links have
// targets, and every make target exists.
func TestDocuments(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	documents := 0
	err = filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == ".local" || name == "coverage" || name == "testdata"):
			return fs.SkipDir
		case filepath.Ext(name) != ".md":
			return nil
		}
		documents++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, err := range deadLinks(path, string(text)) {
			t.Errorf("%s: %v", path, err)
		}
		for _, target := range targets(string(text)) {
			if !strings.Contains(string(makefile), "\n.PHONY: "+target+"\n") {
				t.Errorf("%s: there is no make %s", path, target)
			}
		}
		return nil
	})
	if err != nil || documents < 30 {
		t.Errorf("%d documents, %v", documents, err)
	}
}

// targets returns the make targets in the code of a document. In prose, "make"
// is also an ordinary verb.
func targets(text string) (targets []string) {
	code := regexp.MustCompile("(?ms)^```.*?^```|`[^`\n]+`").FindAllString(text, -1)
	for _, c := range code {
		for _, m := range regexp.MustCompile("(?m)(?:^|`)make ([a-z][a-z0-9-]*)").FindAllStringSubmatch(c, -1) {
			targets = append(targets, m[1])
		}
	}
	return targets
}

// TestOwners checks .github/CODEOWNERS against the existing folders.
func TestOwners(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), ".github", "CODEOWNERS"))
	if err != nil {
		t.Fatal(err)
	}
	owned := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		owned++
		found, err := filepath.Glob(filepath.Join(root(t), fields[0]))
		if err != nil || len(found) == 0 {
			t.Errorf("%s is owned, and not there (%v)", fields[0], err)
		}
		for _, owner := range fields[1:] {
			if !strings.HasPrefix(owner, "@example/") {
				t.Errorf("%s is no team", owner)
			}
		}
		if len(fields) < 2 {
			t.Errorf("%s has no owner", fields[0])
		}
	}
	if owned < 5 {
		t.Errorf("%d paths have an owner", owned)
	}
}

// TestForms checks the issue forms as GitHub does, as far as possible offline.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bug", "feature"} {
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID    string
				Attributes  map[string]any
				Validations map[string]bool
			}
		}
		if err := read(filepath.Join(root(t), ".github", "ISSUE_TEMPLATE", name+".yml"), &form); err != nil {
			t.Fatal(err)
		}
		if form.Name == "" || form.Description == "" || len(form.Labels) == 0 || len(form.Body) == 0 {
			t.Errorf("%s is not whole: %+v", name, form)
		}
		for _, field := range form.Body {
			key := map[string]string{
				"markdown": "value", "input": "label", "textarea": "label", "dropdown": "options", "checkboxes": "options",
			}[field.Type]
			if key == "" || field.Attributes[key] == nil {
				t.Errorf("%s: %q of type %q lacks %q", name, field.ID, field.Type, key)
			}
		}
	}
	var chooser struct {
		BlankIssuesEnabled *bool                               `json:"blank_issues_enabled"`
		ContactLinks       []struct{ Name, URL, About string } `json:"contact_links"`
	}
	if err := read(filepath.Join(root(t), ".github", "ISSUE_TEMPLATE", "config.yml"), &chooser); err != nil {
		t.Fatal(err)
	}
}

// read reads a YAML file that must not have fields unknown to into.
func read(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return yaml.UnmarshalStrict(text, into)
}

// link is a Markdown link: [text](target#anchor).
var link = regexp.MustCompile("\\[(`?)([^]]+?)`?\\]\\(([^)#]*)#?([^)]*)\\)")

// deadLinks returns an error for each broken link of a document in the
// repository. For [`name`](file), the text or the path of the file must contain
// name. If name is a test, the file must define it.
func deadLinks(file, text string) (dead []error) {
	for _, l := range link.FindAllStringSubmatch(text, -1) {
		code, name, target, anchor := l[1] != "", l[2], l[3], l[4]
		if strings.Contains(target, ":") {
			continue
		}
		path := filepath.Join(filepath.Dir(file), target)
		if target == "" {
			path = file
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, syscall.EISDIR) {
			continue
		}
		if err != nil {
			dead = append(dead, err)
			continue
		}
		if anchor != "" && !hasHeading(string(content), anchor) {
			dead = append(dead, fmt.Errorf("%s has no heading #%s", path, anchor))
		}
		if regexp.MustCompile(`^(?:Test|Fuzz)\w+$`).MatchString(name) {
			name = "\nfunc " + name + "("
		} else if filepath.Ext(path) == ".go" {
			name = name[strings.LastIndex(name, ".")+1:] // for events.Inbox, the file contains Inbox
		}
		if code && !strings.Contains(string(content), name) && !strings.Contains(filepath.ToSlash(path), strings.TrimSuffix(name, "/")) {
			dead = append(dead, fmt.Errorf("%s has no %s", path, strings.TrimSpace(name)))
		}
	}
	return dead
}

// hasHeading reports whether a heading of text has this anchor on GitHub.
func hasHeading(text, anchor string) bool {
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		slug := regexp.MustCompile(`[^\p{L}\p{N}_ -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}
