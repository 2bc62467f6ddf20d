package workflows

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fork is a clone of this repository as it is in the working tree.
func fork(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	git(t, root, "clone", "-q", "--no-local", ".", folder)
	for name := range strings.SplitSeq(git(t, root, "ls-files", "--cached", "--others", "--exclude-standard", "-z"), "\x00") {
		info, err := os.Lstat(filepath.Join(root, name))
		if name == "" || os.IsNotExist(err) { // deleted, and not yet committed
			continue
		}
		if err != nil || !info.Mode().IsRegular() {
			t.Fatal(name, err)
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), string(content), info.Mode())
	}
	git(t, folder, "add", "--all")
	git(t, folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "fork")
	bin, err := filepath.Abs(filepath.Join(root, ".local/bin"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(folder, ".local"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bin, filepath.Join(folder, ".local", "bin")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// ours returns names that a fork could have.
func ours() map[string]string {
	return map[string]string{
		"ORG": "acme-food", "REGISTRY": "registry.acme.io:5000/food/pizza", "DOMAIN": "pizza.acme.com", "DB_HOST": "pg-ENV.acme.internal",
	}
}

// adopt runs make adopt in a fork, like a person.
func adopt(t *testing.T, folder string, values map[string]string) (string, error) {
	t.Helper()
	args := []string{"--no-print-directory", "adopt"}
	for name, value := range values {
		args = append(args, name+"="+value)
	}
	return run(t, folder, []string{"ORG=", "REGISTRY=", "DOMAIN=", "DB_HOST="}, "make", args...)
}

// An adopted fork is complete: it has the fork's names of the repository, the registry,
// hosts and teams, and the tests that compare them pass. A second run changes nothing.
func TestAdopt(t *testing.T) {
	t.Parallel()
	folder := fork(t)
	for range 2 {
		out, err := adopt(t, folder, ours())
		if err != nil || !strings.Contains(out, "REGISTRY_PASSWORD of registry.acme.io:5000") {
			t.Fatalf("%v\n%s", err, out)
		}
		changed := git(t, folder, "status", "--porcelain")
		if lines := strings.Count(changed, "\n"); lines < 20 {
			t.Errorf("%d files are changed:\n%s", lines, changed)
		}
		git(t, folder, "add", "--all")
	}
	if changed := git(t, folder, "diff", "--name-only"); changed != "" {
		t.Errorf("the second time changes %s", changed)
	}
	for name, want := range map[string][]string{
		"deploy/argocd/values.yaml":            {"https://github.com/acme-food/pizza", "registry.acme.io:5000/food/pizza", "acme-food:on-call"},
		"deploy/argocd/credentials.yaml":       {"https://github.com/acme-food/pizza", "oci://registry.acme.io:5000/food/pizza"},
		"deploy/environments/stg/values.yaml":  {"pg-stg.acme.internal", "stg.pizza.acme.com", "registry.acme.io:5000/food/pizza"},
		"deploy/environments/prod/values.yaml": {"pg-prod.acme.internal", "[pizza.acme.com]"},
		"helm/pizza/values.yaml":               {`github\.com/acme-food/pizza`, "https://github.com/acme-food/pizza/blob/main/deploy/observability/runbooks"},
		".github/CODEOWNERS":                   {"@acme-food/platform"},
		".github/SECURITY.md":                  {"security@acme.com"},
		".github/workflows/release.yml":        {"REGISTRY: registry.acme.io:5000/food/pizza", `registry: "registry.acme.io:5000", username: "${{ secrets.REGISTRY_USERNAME }}"`},
		"go.work":                              {"./services/order"},
		"services/order/go.mod":                {"module example.com/pizza/services/order"},
	} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range want {
			if !strings.Contains(string(content), text) {
				t.Errorf("%s does not have %s", name, text)
			}
		}
	}
	tests := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run",
		"^Test(Documents|Owners|Forms|Decisions|LeastRights|MayWrite|Uses|CommandsAreScripts|Identity|ApplicationsPin|Projects|Credentials|Parts)$",
		"./deploy/local/system", "./deploy/workflows", "./deploy/policy", "./deploy/delivery/cmd/delivery", "./deploy/e2e")
	tests.Dir = folder
	if out, err := tests.CombinedOutput(); err != nil || strings.Contains(string(out), "no tests to run") {
		t.Errorf("the tests of the fork: %v\n%s", err, out)
	}
}

// Missing or wrong values are reported with an example, before anything changes.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	folder := fork(t)
	for name, c := range map[string]struct {
		change map[string]string
		want   string
	}{
		"nothing":              {map[string]string{"ORG": "", "REGISTRY": "", "DOMAIN": "", "DB_HOST": ""}, "adopt needs ORG REGISTRY DOMAIN DB_HOST, for example: make adopt ORG=acme"},
		"one is missing":       {map[string]string{"DOMAIN": ""}, "adopt needs DOMAIN, for example: make adopt ORG=acme"},
		"two words":            {map[string]string{"ORG": "acme food"}, `adopt: ORG must be an organization of GitHub, such as acme, not "acme food"`},
		"an address":           {map[string]string{"REGISTRY": "https://ghcr.io/acme"}, `adopt: REGISTRY must be a host and a path, such as ghcr.io/acme/pizza, not "https://ghcr.io/acme"`},
		"no path":              {map[string]string{"REGISTRY": "ghcr.io"}, "adopt: REGISTRY must be a host and a path"},
		"no host":              {map[string]string{"DOMAIN": "pizza"}, "adopt: DOMAIN must be the host name of prod"},
		"one database for all": {map[string]string{"DB_HOST": "postgres.acme.internal"}, "adopt: DB_HOST must be a host name with ENV"},
		"a command":            {map[string]string{"DB_HOST": "pg-ENV.acme.internal;touch x"}, "adopt: DB_HOST must be"},
		"the placeholder":      {map[string]string{"ORG": "example"}, "adopt: example is the placeholder"},
	} {
		values := ours()
		maps.Copy(values, c.change)
		if out, err := adopt(t, folder, values); err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v, %s, want %q", name, err, out, c.want)
		}
	}
	if changed := git(t, folder, "status", "--porcelain"); changed != "" {
		t.Errorf("changed %s", changed)
	}
	// A placeholder that it cannot replace is reported, and so is a different earlier adoption.
	write(t, filepath.Join(folder, "deploy/new.md"), "https://github.com/example/other\n", 0o600)
	git(t, folder, "add", "--all")
	if out, err := adopt(t, folder, ours()); err == nil || !strings.Contains(out, "deploy/new.md:1:https://github.com/example/other") || !strings.Contains(out, "placeholders are left") {
		t.Errorf("a placeholder is left: %v, %s", err, out)
	}
	git(t, folder, "rm", "-qf", "deploy/new.md")
	values := ours()
	values["DOMAIN"] = "pizza.other.com"
	if out, err := adopt(t, folder, values); err == nil || !strings.Contains(out, "deploy/environments/prod/values.yaml does not have pizza.other.com") {
		t.Errorf("adopted twice: %v, %s", err, out)
	}
}
