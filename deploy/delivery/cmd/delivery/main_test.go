package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images"
)

// digest returns a digest of 64 equal digits.
func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func TestRun(t *testing.T) {
	t.Parallel()
	root := repository(t)
	for file, pushed := range map[string]string{"new": digest("6"), "same": digest("5"), "bad": "latest"} {
		text := "pizza 0.0.0-g0a1b2c3d registry.invalid/pizza/charts/pizza@" + pushed + "\n"
		if err := os.WriteFile(filepath.Join(root, file+".pushed"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ args, want, refused string }{
		"help":                    {args: "-h", want: "usage: delivery promote   -to stg"},
		"no command":              {refused: "no command"},
		"unknown command":         {args: "demote", refused: `unknown command "demote"`},
		"unknown environment":     {args: "promote -to test", refused: `TO: unknown environment "test" (stg)`},
		"no environment":          {args: "attest -service order", refused: `ENV: unknown environment "" (dev, stg)`},
		"words that nobody reads": {args: "promote -to stg order", refused: `takes no "order"`},
		"without looking":         {args: "promote -to stg -no-verify", refused: "flag provided but not defined: -no-verify"},
		"the same runs there":     {args: "promote -to stg", want: "nothing to change: the same images run there already"},
		"no service":              {args: "attest -env dev", refused: "SERVICE: must be one of login, menu, order"},
		"nobody to ask":           {args: "attest -env dev -service order -kubectl /nowhere/kubectl", refused: "nothing was attested:\nthe cluster was asked for the Application pizza-dev-order: "},
		"nobody's word counts":    {args: "attest -env dev -service order -checks sync,smoke", refused: "flag provided but not defined: -checks"},
		"one key for both":        {args: "promote -to stg -key a.pub -verifier-key a.pub", refused: `both are "a.pub`},
		"no images":               {args: "publish", refused: "no image is built (make images)"},
		"the chart alone":         {args: "publish -chart new.pushed", refused: "nothing was changed:\nregistry.invalid/pizza/charts/pizza@" + digest("6")},
		"the same chart":          {args: "publish -chart same.pushed", want: "nothing to change"},
		"no chart":                {args: "publish -chart bad.pushed", refused: "want pizza VERSION REGISTRY/charts/pizza@sha256:"},
		"nothing built":           {args: "changed", refused: "no image is built (make images)"},
		"nothing ran before":      {args: "rollback -env stg", refused: "stg has run nothing else"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(c.args)
			if len(args) > 0 && args[0] != "-h" {
				args = append([]string{args[0], "-root", root}, args[1:]...)
			}
			var stdout, stderr strings.Builder
			err := run(t.Context(), args, &stdout, &stderr)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("error %v, want %q", err, c.refused)
				}
				return
			}
			if err != nil || !strings.Contains(stdout.String(), c.want) {
				t.Errorf("error %v, and it said %q, want %q", err, stdout.String(), c.want)
			}
		})
	}
}

// The images that dev does not run are reported to people and to later jobs.
func TestChanged(t *testing.T) {
	t.Parallel()
	root := repository(t)
	for i, name := range []string{"login", "migrate"} {
		index, err := random.Index(64, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(root, images.Folder, name)
		if _, err := layout.Write(folder, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index})); err != nil {
			t.Fatal(err)
		}
		if err := images.Label(folder, name+":any", "01234567"); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			continue
		}
		now, err := index.Digest() // dev runs the first
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(root, delivery.Path("dev"))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = delivery.Replace(text, []delivery.Image{{Key: "login", Tag: "older", Digest: now.String()}})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		commit(t, root, "dev runs login")
	}
	github := filepath.Join(t.TempDir(), "output")
	var stdout, stderr strings.Builder
	if err := run(t.Context(), []string{"changed", "-root", root, "-github", github}, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	output, err := os.ReadFile(github)
	if want := "images=[\"migrate\"]\n"; stdout.String() != want || string(output) != want || err != nil {
		t.Errorf("said %q, and to GitHub %q, %v", stdout.String(), output, err)
	}
}

// repository returns a repository with the same images in every environment.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, e := range []string{"dev", "stg"} {
		folder := filepath.Join(root, filepath.Dir(delivery.Path(e)))
		text := ""
		for i, key := range append(delivery.Services(), delivery.Migration) {
			text += key + `: {image: {tag: "0a1b2c3d", digest: "` + digest(string(rune('1'+i))) + "\"}}\n"
		}
		text += `global: {chart: {tag: "0.0.0-g0a1b2c3d", digest: "` + digest("5") + "\"}}\n"
		for file, content := range map[string]string{"images.yaml": text, "values.yaml": "global: {image: {registry: registry.invalid/pizza}}\n"} {
			if err := os.MkdirAll(folder, 0o750); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	order := filepath.Join(root, delivery.Order)
	if err := os.WriteFile(order, []byte("environments: [{name: dev}, {name: stg}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	commit(t, root, "The first images")
	return root
}

func commit(t *testing.T, root, message string) {
	t.Helper()
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"add", "--all"},
		{"-c", "user.name=Dev", "-c", "user.email=dev@example.com", "-c", "commit.gpgsign=false", "commit", "--quiet", "--message", message},
	} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
}

// The text that reviewers read before they approve.
func TestShown(t *testing.T) {
	t.Parallel()
	change := delivery.Change{
		From:    delivery.Image{Key: "order", Tag: "0a1b2c3d", Digest: digest("1")},
		To:      delivery.Image{Key: "order", Tag: "4e5f6071", Digest: digest("2")},
		Commits: []string{"4e5f6071 Price the crust (Dev)", "4e5f6070 Count slices (Dev)"},
	}
	migration := delivery.Change{
		From: delivery.Image{Key: "migration", Tag: "1", Digest: digest("3")}, To: delivery.Image{Key: "migration", Tag: "2", Digest: digest("4")},
	}
	for name, c := range map[string]struct {
		plan delivery.Plan
		want string
	}{
		"promotion": {delivery.Plan{Environment: "stg", Source: "dev", Changes: []delivery.Change{change, migration}}, `stg: order, migration of dev

| image | was | is | digest |
|---|---|---|---|
| order | 0a1b2c3d | 4e5f6071 | ` + "`" + digest("2") + "`" + ` |
| migration | 1 | 2 | ` + "`" + digest("4") + "`" + ` |

Every image is signed, and has passed the checks of dev with the chart that it runs with here.

**order**, with:

- 4e5f6071 Price the crust (Dev)
- 4e5f6070 Count slices (Dev)
`},
		"rollback": {delivery.Plan{Environment: "prod", Source: "0123456789abcdef", Back: true, Changes: []delivery.Change{change}}, `prod: order of what ran at 01234567

| image | was | is | digest |
|---|---|---|---|
| order | 0a1b2c3d | 4e5f6071 | ` + "`" + digest("2") + "`" + ` |

Every image is signed. The schema stays as it is: a migration of before finds it newer, and leaves it.

**order**, without:

- 4e5f6071 Price the crust (Dev)
- 4e5f6070 Count slices (Dev)
`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			if err := pullRequest(&got, c.plan); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without a key, the release signs images, which the cluster requires too, and the
// verification attests checks. Neither workflow can do what the other does.
func TestIdentity(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../helm/pizza/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n    subject: "+releaser+"\n") {
		t.Errorf("the chart admits images of another signer than %s", releaser)
	}
	const ours = "https://github.com/example/pizza/.github/workflows/"
	for who, want := range map[string]string{
		ours + "release.yml@refs/heads/main":                                                  "signs",
		ours + "release.yml@refs/tags/v1.2.3":                                                 "",
		ours + "verify.yml@refs/heads/main":                                                   "attests",
		ours + "verify.yml@refs/tags/v1.2.3":                                                  "",
		ours + "verify.yml@refs/heads/mine":                                                   "",
		ours + "verifyXyml@refs/heads/main":                                                   "",
		ours + "release.yml@refs/heads/main-not":                                              "",
		ours + "release.yml@refs/pull/1/merge":                                                "",
		ours + "ci.yml@refs/heads/main":                                                       "",
		ours + "releaseXyml@refs/heads/main":                                                  "",
		"https://github.com/example/pizza-fork/.github/workflows/release.yml@refs/heads/main": "",
		"https://example.com/?" + ours + "release.yml@refs/heads/main":                        "",
		"https://example.com/?" + ours + "verify.yml@refs/heads/main":                         "",
	} {
		got := ""
		if regexp.MustCompile(releaser).MatchString(who) {
			got += "signs"
		}
		if regexp.MustCompile(verifier).MatchString(who) {
			got += "attests"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
	}
}
