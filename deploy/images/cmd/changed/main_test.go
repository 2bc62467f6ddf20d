package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../../.."

// Nothing has changed since HEAD, and all since a commit that is not there, as the
// one before the first push of a branch.
func TestRun(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{"HEAD": "images=\n", strings.Repeat("0", 40): "images=login menu order migrate\n"} {
		path := filepath.Join(t.TempDir(), "output")
		var out bytes.Buffer
		if err := run(t.Context(), []string{"-root", root, "-json", "-github", path, base}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("since %s: %q, want %q, %v", base, got, want, err)
		}
		var all []answer
		if err := json.Unmarshal(out.Bytes(), &all); err != nil || len(all) != 4 || all[3].Name != "migrate" || all[3].Changed != (len(want) > 8) {
			t.Errorf("since %s: %+v, %v", base, all, err)
		}
	}
	if err := run(t.Context(), nil, io.Discard, io.Discard); err == nil {
		t.Error("runs without a base")
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := table(&out, []answer{{"login", true, []string{"go.work", "pkg/a.go", "pkg/b.go"}}, {"menu", true, []string{"go.work"}}, {Name: "order"}})
	want := "IMAGE  CHANGED  BECAUSE OF\nlogin  yes      go.work and 2 more\nmenu   yes      go.work\norder  no       \n"
	if diff := cmp.Diff(want, out.String()); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
