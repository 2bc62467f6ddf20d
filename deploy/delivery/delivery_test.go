package delivery_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"example.com/pizza/deploy/delivery"
)

// keys are the public keys of the release, the verification and a stranger. The
// private keys are next to them.
var ours, verifiers, theirs string

// cosign is built by the targets of the Makefile that run these tests.
const cosign = "../../.local/bin/cosign"

func TestMain(m *testing.M) { os.Exit(withKeys(m)) }

func withKeys(m *testing.M) int {
	folder, err := os.MkdirTemp("", "delivery-test-")
	if err == nil {
		err = os.Setenv("COSIGN_PASSWORD", "")
	}
	defer func() { _ = os.RemoveAll(folder) }()
	for name, key := range map[string]*string{"ours": &ours, "verifiers": &verifiers, "theirs": &theirs} {
		*key = filepath.Join(folder, name+".pub")
		out, keyErr := exec.CommandContext(context.Background(), cosign, "generate-key-pair", "--output-key-prefix", filepath.Join(folder, name)).CombinedOutput()
		if keyErr != nil {
			err = fmt.Errorf("%w (make .local/bin/cosign builds it): %s", keyErr, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// environments are those of a world.
func environments() []string { return []string{"dev", "stg", "prod"} }

// world is a repository with signed images in a registry.
type world struct {
	*testing.T
	delivery.Repository
	delivery.Evidence
	stranger delivery.Evidence // has an untrusted key
	swapped  delivery.Evidence // the verification signs images, and the release attests checks
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	w := &world{T: t, Repository: delivery.Repository{Root: t.TempDir()}}
	program, err := filepath.Abs(cosign)
	w.must(err)
	w.Evidence = delivery.Evidence{
		Cosign: program, Registry: strings.TrimPrefix(server.URL, "http://") + "/pizza",
		Releaser: delivery.Signer{Key: ours}, Verifier: delivery.Signer{Key: verifiers},
	}
	w.stranger = w.Evidence
	w.stranger.Releaser.Key, w.stranger.Verifier.Key = theirs, theirs
	w.swapped = w.Evidence
	w.swapped.Releaser, w.swapped.Verifier = w.Verifier, w.Releaser
	w.git("init", "--quiet", "--initial-branch=main")
	first := []delivery.Image{w.image("login"), w.image("menu"), w.image("order"), w.image("migration"), w.image("chart")}
	order := "environments:\n"
	for _, e := range environments() {
		w.write(e, first...)
		order += "  - {name: " + e + "}\n"
	}
	w.must(os.WriteFile(filepath.Join(w.Root, delivery.Order), []byte(order), 0o600))
	w.commit("The first images")
	return w
}

func (w *world) git(args ...string) string {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), "git", append([]string{"-c", "user.name=Dev", "-c", "user.email=dev@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = w.Root
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits everything.
func (w *world) commit(message string) {
	w.Helper()
	w.git("add", "--all")
	w.git("commit", "--quiet", "--allow-empty", "--message", message)
}

// image pushes a new image.
func (w *world) image(key string) delivery.Image {
	w.Helper()
	index, err := random.Index(64, 1, 1)
	if err != nil {
		w.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		w.Fatal(err)
	}
	i := delivery.Image{Key: key, Tag: "00000000", Digest: digest.String()}
	ref, err := name.NewDigest(w.Registry + "/" + i.Repository() + "@" + i.Digest)
	if err != nil {
		w.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		w.Fatal(err)
	}
	return i
}

const comment = "# What runs.\n\n"

func (w *world) write(environment string, images ...delivery.Image) {
	w.Helper()
	file := filepath.Join(w.Root, delivery.Path(environment))
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		w.Fatal(err)
	}
	text := comment
	for _, i := range images {
		name := i.Key + ": {image"
		if i.Key == delivery.Chart {
			name = "global: {chart"
		}
		text += name + `: {tag: "` + i.Tag + `", digest: "` + i.Digest + "\"}}\n"
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) read(environment string) string {
	w.Helper()
	text, err := os.ReadFile(filepath.Join(w.Root, delivery.Path(environment)))
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

func (w *world) images(environment string) []delivery.Image {
	w.Helper()
	all, err := delivery.Parse(environment, []byte(w.read(environment)))
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// imagesAt returns what an environment runs at a commit.
func (w *world) imagesAt(environment, commit string) []delivery.Image {
	w.Helper()
	all, err := delivery.Parse(environment, []byte(w.git("show", commit+":"+delivery.Path(environment))+"\n"))
	w.must(err)
	return all
}

// runs sets new images for some keys in an environment.
func (w *world) runs(environment string, signed bool, changed ...string) {
	w.Helper()
	all := w.images(environment)
	for i := range all {
		for _, key := range changed {
			if all[i].Key == key {
				all[i] = w.image(key)
				all[i].Tag = w.git("rev-parse", "--short=8", "HEAD")
				if key == delivery.Chart {
					all[i].Tag = "0.0.0-g" + all[i].Tag
				}
			}
		}
	}
	for _, i := range all {
		if signed {
			w.must(w.Sign(w.Context(), i))
		}
	}
	w.write(environment, all...)
	w.commit("New images of " + strings.Join(changed, ", "))
}

func (w *world) passed(environment string) {
	w.Helper()
	for _, i := range w.images(environment) {
		w.must(w.Attest(w.Context(), i, delivery.Checks{Environment: environment, Revision: w.git("rev-parse", "HEAD"), Chart: w.images(environment)[4].Digest, Checks: []string{"smoke"}, Time: time.Now()}))
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// touch commits a change of a file.
func (w *world) touch(file, message string) {
	w.Helper()
	content := message
	if filepath.Ext(file) == ".go" {
		name := filepath.Base(filepath.Dir(file))
		if strings.Contains(file, "/cmd/") {
			name = "main"
		}
		content = "package " + name + " // " + message + "\n"
	}
	path := filepath.Join(w.Root, file)
	w.must(os.MkdirAll(filepath.Dir(path), 0o750))
	w.must(os.WriteFile(path, []byte(content), 0o600))
	w.commit(message)
}

func TestPromote(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name              string
		given             func(*world)
		from, to, service string
		changes           string // keys
		refused           string
	}{
		{
			name: "everything that differs", from: "dev", to: "stg", changes: "menu order",
			given: func(w *world) { w.runs("dev", true, "menu", "order"); w.passed("dev") },
		},
		{
			name: "one service with the migration", from: "dev", to: "stg", service: "order", changes: "order migration",
			given: func(w *world) { w.runs("dev", true, "menu", "order", "migration"); w.passed("dev") },
		},
		{
			name: "to prod after stg", from: "stg", to: "prod", changes: "login",
			given: func(w *world) { w.runs("stg", true, "login"); w.passed("stg") },
		},
		{
			name: "the chart along with a service", from: "dev", to: "stg", service: "order", changes: "order chart",
			given: func(w *world) { w.runs("dev", true, "order", "chart"); w.passed("dev") },
		},
		{
			name: "the chart alone", from: "stg", to: "prod", changes: "chart",
			given: func(w *world) { w.runs("stg", true, "chart"); w.passed("stg") },
		},
		{
			name: "an image that has passed with the chart of before", from: "dev", to: "stg", service: "order", refused: ", only those of dev with the chart sha256:",
			given: func(w *world) { w.runs("dev", true, "order"); w.passed("dev"); w.runs("dev", true, "chart") },
		},
		{
			name: "a chart that no image has passed with", from: "dev", to: "stg", refused: "has passed no checks of dev with the chart sha256:",
			given: func(w *world) {
				w.runs("dev", true, "order")
				w.passed("dev")
				w.write("stg", w.images("dev")...)
				w.runs("dev", true, "chart")
			},
		},
		{
			name: "checks that name no chart", from: "dev", to: "stg", refused: "only those of dev with the chart ",
			given: func(w *world) {
				w.runs("dev", true, "order")
				w.must(w.Attest(w.Context(), w.images("dev")[2], delivery.Checks{Environment: "dev", Checks: []string{"smoke"}}))
			},
		},
		{
			name: "an unsigned chart", from: "dev", to: "stg", refused: "/charts/pizza@sha256:",
			given: func(w *world) {
				for _, i := range w.images("dev")[:4] {
					w.must(w.Sign(w.Context(), i))
				}
				w.runs("dev", false, "chart")
				w.passed("dev")
			},
		},
		{name: "nothing differs", from: "dev", to: "stg"},
		{
			name: "never past an environment", from: "stg", to: "prod", changes: "login",
			given: func(w *world) {
				w.runs("dev", true, "order")
				w.passed("dev")
				w.runs("stg", true, "login")
				w.passed("stg")
			},
		},
		{name: "the first environment", to: "dev", refused: `TO: unknown environment "dev" (stg, prod)`},
		{name: "unknown environment", to: "test", refused: `TO: unknown environment "test" (stg, prod)`},
		{name: "unknown service", to: "stg", service: "payment", refused: `SERVICE: unknown service "payment" (login, menu, order)`},
		{
			name: "unsigned", from: "dev", to: "stg", refused: "has no trusted signature: no signatures found",
			given: func(w *world) { w.runs("dev", false, "order") },
		},
		{
			name: "signed by a stranger", from: "dev", to: "stg", refused: "has no trusted signature",
			given: func(w *world) {
				w.runs("dev", false, "order")
				w.must(w.stranger.Sign(w.Context(), w.images("dev")[2]))
			},
		},
		{
			name: "signed by the verification", from: "dev", to: "stg", refused: "has no trusted signature",
			given: func(w *world) {
				w.runs("dev", false, "order")
				w.must(w.swapped.Sign(w.Context(), w.images("dev")[2]))
				w.passed("dev")
			},
		},
		{
			name: "checks missing", from: "dev", to: "stg", refused: "has passed no checks of dev",
			given: func(w *world) { w.runs("dev", true, "order") },
		},
		{
			name: "checks of another stage", from: "stg", to: "prod", refused: ", only those of dev with the chart ",
			given: func(w *world) {
				w.runs("dev", true, "order")
				w.passed("dev")
				w.write("stg", w.images("dev")...)
				w.commit("By hand")
			},
		},
		{
			name: "checks attested by a stranger", from: "dev", to: "stg", refused: "has passed no checks of dev",
			given: func(w *world) {
				w.runs("dev", true, "order")
				w.must(w.stranger.Attest(w.Context(), w.images("dev")[2], delivery.Checks{Environment: "dev", Checks: []string{"smoke"}}))
			},
		},
		{
			name: "checks attested by the release", from: "dev", to: "stg", refused: "has passed no checks of dev",
			given: func(w *world) {
				w.runs("dev", true, "order")
				w.must(w.swapped.Attest(w.Context(), w.images("dev")[2], delivery.Checks{Environment: "dev", Checks: []string{"smoke"}}))
			},
		},
		{
			name: "one of two refused changes neither", from: "dev", to: "stg", refused: "has passed no checks of dev",
			given: func(w *world) { w.runs("dev", true, "menu"); w.passed("dev"); w.runs("dev", true, "order") },
		},
		{
			name: "somebody is at work on the file", from: "dev", to: "stg", refused: "has changes that are not committed",
			given: func(w *world) {
				w.runs("dev", true, "menu")
				w.passed("dev")
				w.write("stg", w.images("dev")...)
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.given != nil {
				c.given(w)
			}
			before := map[string]string{}
			for _, e := range environments() {
				before[e] = w.read(e)
			}
			plan, err := delivery.Promote(t.Context(), w.Repository, w.Evidence, c.to, c.service)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, want %q", err, c.refused)
				}
				for _, e := range environments() {
					if diff := cmp.Diff(before[e], w.read(e)); diff != "" {
						t.Errorf("%s is changed all the same:\n%s", e, diff)
					}
				}
				return
			}
			w.must(err)
			var changed []string
			for _, change := range plan.Changes {
				changed = append(changed, change.To.Key)
			}
			if got := strings.Join(changed, " "); got != c.changes {
				t.Errorf("changes %q, want %q", got, c.changes)
			}
			// The lines of these images match the source, and the rest is unchanged.
			for i, image := range w.images(c.to) {
				want := w.images(c.to)[i]
				if strings.Contains(c.changes, image.Key) {
					want = w.images(c.from)[i]
				} else if all, err := delivery.Parse("", []byte(before[c.to])); err == nil {
					want = all[i]
				}
				if diff := cmp.Diff(want, image); diff != "" {
					t.Error(diff)
				}
			}
			if !strings.HasPrefix(w.read(c.to), comment) || w.read(c.from) != before[c.from] {
				t.Errorf("more is changed than the lines:\n%s", w.read(c.to))
			}
		})
	}
}

// The commits between two images are those that can have changed the image.
func TestPromoteTellsCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.touch("services/order/cmd/order/a.go", "the image of before")
	w.runs("stg", true, "order")
	w.touch("services/order/cmd/order/a.go", "price the crust")
	w.touch("services/menu/cmd/menu/a.go", "nothing of order's")
	w.touch("pkg/logging/a.go", "log less")
	w.touch("services/order/cmd/order/a_test.go", "nothing of an image")
	w.touch("deploy/a.go", "nothing of an image, too")
	w.runs("stg", true, "chart")
	w.touch("helm/service/templates/deployment.yaml", "ask for less memory")
	w.runs("dev", true, "order", "migration", "chart")
	w.passed("dev")
	plan, err := delivery.Promote(t.Context(), w.Repository, w.Evidence, "stg", "order")
	w.must(err)
	var told []string
	for _, c := range plan.Changes {
		told = append(told, c.Commits...)
	}
	short := func(subject string) string {
		return w.git("log", "--abbrev=8", "--format=%h", "--grep="+subject) + " " + subject + " (Dev)"
	}
	want := []string{
		short("log less"), short("price the crust"),
		"00000000.." + plan.Changes[1].To.Tag + " is unknown in this clone", // the tag of the migration before is no commit
		short("ask for less memory"),
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Error(diff)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.images("prod")
	for _, i := range first {
		w.must(w.Sign(t.Context(), i))
	}
	w.runs("prod", true, "order", "migration")
	second := w.images("prod")
	w.runs("prod", true, "menu")

	t.Run("previous", func(t *testing.T) {
		plan, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", delivery.Previous, "")
		w.must(err)
		if diff := cmp.Diff(second, w.images("prod")); diff != "" || len(plan.Changes) != 1 || !plan.Back {
			t.Errorf("%+v\n%s", plan, diff)
		}
		w.commit("Back")
	})
	begin := w.git("rev-list", "--max-parents=0", "HEAD")
	t.Run("one service at a commit, but not the migration", func(t *testing.T) {
		_, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", begin, "order")
		w.must(err)
		want := []delivery.Image{first[0], first[1], first[2], second[3], second[4]}
		if diff := cmp.Diff(want, w.images("prod")); diff != "" {
			t.Error(diff)
		}
		w.commit("Further back")
	})
	t.Run("all at a commit", func(t *testing.T) {
		_, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", begin, "")
		w.must(err)
		if diff := cmp.Diff(first, w.images("prod")); diff != "" {
			t.Error(diff)
		}
		w.commit("To the beginning")
	})
	t.Run("previous of a service that was not the last to change", func(t *testing.T) {
		w.runs("prod", true, "login")
		before := w.images("prod")[0]
		w.runs("prod", true, "login")
		w.runs("prod", true, "menu")
		_, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", delivery.Previous, "login")
		w.must(err)
		want := w.imagesAt("prod", "HEAD")
		want[0] = before
		if diff := cmp.Diff(want, w.images("prod")); diff != "" {
			t.Error(diff)
		}
		w.commit("Back with login")
	})
	t.Run("the chart goes back with all, and stays with one", func(t *testing.T) {
		before := w.images("prod")
		w.runs("prod", true, "order", "chart")
		after := w.images("prod")
		_, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", delivery.Previous, "order")
		w.must(err)
		want := []delivery.Image{before[0], before[1], before[2], before[3], after[4]}
		if diff := cmp.Diff(want, w.images("prod")); diff != "" {
			t.Error(diff)
		}
		w.commit("Back with order")
		if _, err = delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", "HEAD~2", ""); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, w.images("prod")); diff != "" {
			t.Error(diff)
		}
		w.commit("Back with the chart")
	})
	t.Run("an option in place of a commit", func(t *testing.T) {
		written := filepath.Join(t.TempDir(), "written")
		_, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "prod", "--output="+written, "")
		if err == nil || !strings.Contains(err.Error(), "git show --end-of-options --output="+written) {
			t.Errorf("error %v", err)
		}
		if files, err := filepath.Glob(written + "*"); err != nil || len(files) > 0 {
			t.Errorf("git has written %v, %v", files, err)
		}
	})
	t.Run("nothing to go back to", func(t *testing.T) {
		if _, err := delivery.Rollback(t.Context(), w.Repository, w.Evidence, "stg", delivery.Previous, ""); err == nil || !strings.Contains(err.Error(), "stg has run nothing else of login, menu, order, migration, chart before") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("to what nobody signed", func(t *testing.T) {
		w.runs("dev", true, "menu")
		if _, err := delivery.Rollback(t.Context(), w.Repository, w.stranger, "dev", delivery.Previous, "menu"); err == nil || !strings.Contains(err.Error(), "has no trusted signature") {
			t.Errorf("error %v", err)
		}
	})
}

func TestPublish(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	i := w.image("order")
	if _, err := delivery.Publish(t.Context(), w.Repository, w.Evidence, []delivery.Image{i}); err == nil || !strings.Contains(err.Error(), "has no trusted signature") {
		t.Errorf("error %v", err)
	}
	w.must(w.Sign(t.Context(), i))
	_, err := delivery.Publish(t.Context(), w.Repository, w.Evidence, []delivery.Image{i})
	w.must(err)
	if diff := cmp.Diff(i, w.images("dev")[2]); diff != "" {
		t.Error(diff)
	}
	w.commit("A new order")
	chart := w.image("chart")
	chart.Tag = "0.0.0-g0a1b2c3d"
	w.must(w.Sign(t.Context(), chart))
	pushed := filepath.Join(t.TempDir(), "pizza.pushed")
	w.must(os.WriteFile(pushed, []byte("pizza "+chart.Tag+" "+w.Registry+"/charts/pizza@"+chart.Digest+"\n"), 0o600))
	charts, err := delivery.PushedChart(pushed)
	w.must(err)
	_, err = delivery.Publish(t.Context(), w.Repository, w.Evidence, charts)
	w.must(err)
	if diff := cmp.Diff([]delivery.Image{i, chart}, []delivery.Image{w.images("dev")[2], w.images("dev")[4]}); diff != "" {
		t.Error(diff)
	}
}

func TestPushedChart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pizza.pushed")
	if charts, err := delivery.PushedChart(file); charts != nil || err != nil {
		t.Errorf("of nothing: %v, %v", charts, err)
	}
	for _, text := range []string{"", "pizza 1.2.3", "pizza 1.2.3 r.example/charts/pizza:1.2.3", "order 1.2.3 r.example/order@sha256:" + strings.Repeat("0f", 32)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if charts, err := delivery.PushedChart(file); err == nil || !strings.Contains(err.Error(), "want pizza VERSION REGISTRY/charts/pizza@sha256:") {
			t.Errorf("%q: %v, %v", text, charts, err)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	line := func(key string) string {
		return key + `: {image: {tag: "0a1b2c3d", digest: "sha256:` + strings.Repeat("0f", 32) + "\"}}\n"
	}
	chart := strings.Replace(line("global"), "image", "chart", 1)
	good := line("login") + line("menu") + line("order") + line("migration") + chart
	for name, c := range map[string]struct{ text, want string }{
		"good":              {comment + good, ""},
		"no last line end":  {strings.TrimSuffix(good, "\n"), ""},
		"a tag as a number": {strings.Replace(good, `"0a1b2c3d"`, "12345678", 1), "f:1: want NAME"},
		"no digest":         {strings.Replace(good, "0f0f", "", 1), "f:1: want NAME"},
		"missing":           {line("login") + line("menu") + line("order") + chart, "f: migration is missing"},
		"no chart":          {strings.TrimSuffix(good, chart), "f: chart is missing"},
		"twice":             {good + line("menu"), "f:6: menu is there twice"},
		"two charts":        {good + chart, "f:6: chart is there twice"},
		"chart as an image": {good + line("chart"), `f:6: unknown image "chart" (login, menu, order, migration)`},
		"image as a global": {good + strings.Replace(line("global"), "image", "order", 1), "f:6: want NAME"},
		"unknown":           {good + line("payment"), `f:6: unknown image "payment" (login, menu, order, migration)`},
		"more YAML":         {good + "global: {logLevel: debug}\n", "f:6: want NAME"},
		"empty":             {"", "f: login is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := delivery.Parse("f", []byte(c.text))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// Replace changes only the given lines of any text that Parse accepts.
func FuzzReplace(f *testing.F) {
	line := `: {image: {tag: "0a1b2c3d", digest: "sha256:` + strings.Repeat("0f", 32) + "\"}}\n"
	f.Add([]byte("# c\nlogin" + line + "menu" + line + "\norder" + line + "migration" + line + "global" + strings.Replace(line, "image", "chart", 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := delivery.Parse("f", text)
		if err != nil {
			return
		}
		if got := delivery.Replace(text, before); !bytes.Equal(got, text) {
			t.Fatalf("%q is not %q", got, text)
		}
		other := delivery.Image{Key: "order", Tag: "other", Digest: "sha256:" + strings.Repeat("a1", 32)}
		changed := delivery.Replace(text, []delivery.Image{other})
		after, err := delivery.Parse("f", changed)
		if err != nil {
			t.Fatal(err)
		}
		before[2] = other
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
		if back := delivery.Replace(changed, nil); bytes.Count(back, []byte("\n")) != bytes.Count(text, []byte("\n")) {
			t.Error("lines have come or gone")
		}
	})
}
