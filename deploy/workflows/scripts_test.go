package workflows

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// run runs a program in a folder with variables, and returns its output.
func run(t *testing.T, folder string, variables []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(append(os.Environ(), "MAKEFLAGS=", "GH_TOKEN="), variables...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func git(t *testing.T, folder string, args ...string) string {
	t.Helper()
	out, err := run(t, folder, nil, "git", args...)
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// A child that another test forks meanwhile would hold the file open for writing, and
	// the program could not be run: text file busy (https://go.dev/issue/22315).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// checkout is a clone of a repository with a delivery.sh that changes stg.
func checkout(t *testing.T) (folder, origin string) {
	t.Helper()
	origin, folder = t.TempDir(), t.TempDir()
	git(t, origin, "init", "-q", "--bare", "-b", "main")
	git(t, folder, "clone", "-q", origin, ".")
	git(t, folder, "checkout", "-q", "-B", "main")
	write(t, filepath.Join(folder, ".gitignore"), "/.local/\n", 0o600)
	write(t, filepath.Join(folder, "other"), "1\n", 0o600)
	write(t, filepath.Join(folder, "deploy/environments/stg/images.yaml"), "old\n", 0o600)
	write(t, filepath.Join(folder, "tools/delivery.sh"), "#!/bin/sh\ncase $1 in\n"+
		"promote) echo new > \"deploy/environments/$TO/images.yaml\"; echo 2 > other\n"+
		"    echo \"stg: order of dev\"; echo; echo \"| 1 |\" ;;\n"+
		"idle) echo nothing ;;\n"+
		"refused) echo not signed >&2; exit 1 ;;\nesac\n", 0o700)
	git(t, folder, "add", ".")
	git(t, folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-q", "-m", "first")
	git(t, folder, "push", "-q", "origin", "main")
	return folder, origin
}

// A change of an environment becomes a branch with one commit that changes nothing else,
// and, with GitHub, a pull request with the same text.
func TestPropose(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join(root, "tools/propose.sh"))
	if err != nil {
		t.Fatal(err)
	}
	// A fake of GitHub's command line records its calls.
	gh := t.TempDir()
	write(t, filepath.Join(gh, "gh"), "#!/bin/sh\necho \"$*\" >> "+gh+"/said\n", 0o700)
	onGitHub := []string{"PATH=" + gh + ":" + os.Getenv("PATH"), "GH_TOKEN=x"}

	folder, origin := checkout(t)
	variables := []string{"TO=stg", "SERVICE=order", "MERGE=auto"}
	if out, err := run(t, folder, append(onGitHub, variables...), script, "promote"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	branch := git(t, folder, "rev-parse", "--abbrev-ref", "HEAD")
	if !strings.HasPrefix(branch, "promote-stg-order-") {
		t.Errorf("branch %s", branch)
	}
	if text := git(t, origin, "log", "-1", "--format=%B", branch); text != "stg: order of dev\n\n| 1 |" {
		t.Errorf("the commit says\n%s", text)
	}
	if files := git(t, origin, "diff", "--name-only", "main", branch); files != "deploy/environments/stg/images.yaml" {
		t.Errorf("the commit changes %s", files)
	}
	said, err := os.ReadFile(filepath.Join(gh, "said"))
	want := "pr create --base main --head " + branch + " --title stg: order of dev --body-file .local/proposal.md\npr merge " + branch + " --auto --squash\n"
	if err != nil || string(said) != want {
		t.Errorf("GitHub was told\n%s\nwant\n%s, %v", said, want, err)
	}
}

func TestProposeElsewhere(t *testing.T) {
	t.Parallel()
	script, err := filepath.Abs(filepath.Join(root, "tools/propose.sh"))
	if err != nil {
		t.Fatal(err)
	}
	folder, origin := checkout(t)
	for _, step := range []struct {
		target string
		fails  bool
		says   string
	}{
		{"idle", false, "nothing to propose"},
		{"refused", true, "not signed"},
		{"promote", false, "is ready"}, // without GitHub, the branch stays local
		{"promote", false, "nothing to propose"},
	} {
		out, err := run(t, folder, []string{"TO=stg"}, script, step.target)
		if (err != nil) != step.fails || !strings.Contains(out, step.says) {
			t.Errorf("%s: %v, %s, want %q", step.target, err, out, step.says)
		}
	}
	if branches := git(t, origin, "branch"); branches != "* main" {
		t.Errorf("pushed %s", branches)
	}
	write(t, filepath.Join(folder, "deploy/environments/stg/images.yaml"), "by hand\n", 0o600)
	if out, err := run(t, folder, nil, script, "promote"); err == nil || !strings.Contains(out, "not committed") {
		t.Errorf("takes what somebody left there: %v, %s", err, out)
	}
}

// Findings of grype fail the scan. So does an unreachable database where it is required;
// then there are no findings, regardless of grype's exit status. The outputs are those
// of grype; its database is too large to include.
func TestScan(t *testing.T) {
	t.Parallel()
	const (
		nothing  = "echo 'No vulnerabilities found'"
		found    = "echo '[0000]  WARN error updating db' >&2; echo 'GO-2026-1234 High'; exit 2"
		database = "echo '[0000] ERROR failed to load vulnerability db: database does not exist' >&2; exit 1"
	)
	for name, c := range map[string]struct {
		grype     string
		variables []string
		fails     bool
		says      string
	}{
		"nothing":           {nothing, nil, false, "login-linux-amd64: No vulnerabilities"},
		"found":             {found, nil, true, "GO-2026-1234"},
		"database":          {database, nil, false, "NOT SCANNED"},
		"database_required": {database, []string{"VULN=required"}, true, "NOT SCANNED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			write(t, filepath.Join(folder, "login-linux-amd64.spdx.json"), "{}", 0o600)
			write(t, filepath.Join(folder, "grype"), "#!/bin/sh\n"+c.grype+"\n", 0o700)
			out, err := run(t, root, c.variables, "tools/scan.sh", filepath.Join(folder, "grype"), folder)
			if (err != nil) != c.fails || !strings.Contains(out, c.says) {
				t.Errorf("%v, %s, want %q", err, out, c.says)
			}
		})
	}
}

// A missing argument is reported at once, with an example, before a program is built.
func TestMissingValues(t *testing.T) {
	t.Parallel()
	folder := clone(t)
	ran := filepath.Join(folder, ".local", "ran")
	programs := t.TempDir()
	for _, program := range []string{"go", "kubectl"} {
		write(t, filepath.Join(programs, program), "#!/bin/sh\nmkdir -p .local\necho \"$*\" >> '"+ran+"'\n", 0o700)
	}
	variables := []string{"PATH=" + programs + ":" + os.Getenv("PATH"), "MAKELEVEL=", "E2E_LOAD_IMAGE="}
	for command, want := range map[string]string{
		"make promote":                  "promote needs TO, for example: make promote TO=stg",
		"make promote TO=qa":            `promote: TO must be stg or prod, not "qa"`,
		"make promote TO=dev":           `promote: TO must be stg or prod, not "dev"`,
		"make rollback ENV=qa":          `rollback: ENV must be dev, stg or prod, not "qa"`,
		"make rollback":                 "rollback needs ENV, for example: make rollback ENV=prod",
		"make gitops":                   `gitops needs E2E_LOAD_IMAGE, for example: make gitops E2E_LOAD_IMAGE="kind load image-archive"`,
		"make e2e":                      `e2e needs E2E_LOAD_IMAGE, for example: make e2e E2E_LOAD_IMAGE="kind load image-archive"`,
		"make images IMAGES=payment":    `images: IMAGES must be names of login, menu, order and migrate, not "payment"`,
		"make pre-commit BASE=a..b":     `pre-commit: BASE must be a commit, a tag or a branch, not "a..b"`,
		"tools/delivery.sh attest":      "attest needs ENV SERVICE, for example: ENV=dev SERVICE=order tools/delivery.sh attest",
		"tools/delivery.sh push":        "push needs REGISTRY, for example: REGISTRY=ghcr.io/me/pizza tools/delivery.sh push",
		"tools/delivery.sh push-charts": "push-charts needs REGISTRY, for example: REGISTRY=ghcr.io/me/pizza tools/delivery.sh push-charts",
		"make adopt ORG=acme": "adopt needs REGISTRY DOMAIN DB_HOST, for example: " +
			"make adopt ORG=acme REGISTRY=ghcr.io/acme/pizza DOMAIN=pizza.acme.com DB_HOST=postgres.ENV.acme.internal",
		"tools/announce.sh": "announce needs TAG, for example: TAG=v1.2.3 tools/announce.sh",
	} {
		words := strings.Fields(command)
		out, err := run(t, folder, variables, words[0], words[1:]...)
		if first, _, _ := strings.Cut(out, "\n"); err == nil || first != want {
			t.Errorf("%s: %v, %q, want %q", command, err, out, want)
		}
		if text, err := os.ReadFile(ran); err == nil {
			t.Fatalf("%s runs go %s", command, text)
		}
	}
}

// The kubeconfig of a workflow is a text, but kubectl reads files. A temporary file exists
// while the cluster is queried. The program's exit status decides.
func TestAttestAsksTheCluster(t *testing.T) {
	t.Parallel()
	folder := clone(t)
	temporary, programs := t.TempDir(), t.TempDir()
	write(t, filepath.Join(programs, "make"), "#!/bin/sh\n", 0o700)
	write(t, filepath.Join(programs, "go"), "#!/bin/sh\necho \"$*\"; cat \"$KUBECONFIG\"; stat -c %a \"$KUBECONFIG\"; echo \"[$CLUSTER]\"; exit 3\n", 0o700)
	out, err := run(t, folder, []string{
		"PATH=" + programs + ":" + os.Getenv("PATH"), "TMPDIR=" + temporary, "KUBECONFIG=", "ENV=dev", "SERVICE=order", "REVISION=",
		"CLUSTER=users: [\"$HOME\"]\n# end",
	}, "tools/delivery.sh", "attest")
	want := "run ./deploy/delivery/cmd/delivery attest -env dev -service order\nusers: [\"$HOME\"]\n# end\n600\n[]"
	if err == nil || out != want {
		t.Errorf("%v, %q, want %q", err, out, want)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// charts is a repository with the charts and the script that pushes them.
func charts(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"helm", "tools/charts"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.work", "tools/push-charts.sh"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, name), string(content), 0o700)
	}
	write(t, filepath.Join(folder, ".gitignore"), "/.local/\n", 0o600)
	git(t, folder, "init", "-q")
	commit(t, folder, "first")
	return folder
}

func commit(t *testing.T, folder, message string) {
	t.Helper()
	git(t, folder, "add", ".")
	git(t, folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", message)
}

// The chart has the version of the release or the commit. A version has the same bytes
// wherever it is packaged, and is never published with different ones.
func TestPushCharts(t *testing.T) {
	t.Parallel()
	helm, err := filepath.Abs(filepath.Join(root, ".local/bin/helm"))
	if err != nil {
		t.Fatal(err)
	}
	host := func() string {
		server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://") + "/pizza/charts"
	}
	here, there := host(), host()
	folder := charts(t)
	push := func(folder, to string, variables ...string) (version, digest string) {
		t.Helper()
		out, err := run(t, folder, append(variables, "PLAIN_HTTP=1"), "tools/push-charts.sh", helm, to)
		pushed, readErr := os.ReadFile(filepath.Join(folder, ".local/charts/pizza.pushed"))
		fields := strings.Fields(out)
		if err != nil || readErr != nil || len(fields) != 3 || fields[0] != "pizza" || string(pushed) != out+"\n" {
			t.Fatalf("%v, %v: %s; recorded %s", err, readErr, out, pushed)
		}
		digest, found := strings.CutPrefix(fields[2], to+"/pizza@")
		if !found {
			t.Fatalf("pushed %s", fields[2])
		}
		return fields[1], digest
	}
	version, digest := push(folder, here)
	if want := "0.0.0-g" + git(t, folder, "rev-parse", "--short=8", "HEAD"); version != want {
		t.Errorf("version %s, want %s", version, want)
	}
	// The result is the same in another place, later, and after a commit outside the chart.
	clone := t.TempDir()
	git(t, clone, "clone", "-q", folder, ".")
	write(t, filepath.Join(clone, "README.md"), "other\n", 0o600)
	commit(t, clone, "not of the chart")
	for _, to := range []string{here, there} {
		if v, d := push(clone, to, "TZ=Asia/Seoul"); v != version || d != digest {
			t.Errorf("%s: %s %s, want %s %s", to, v, d, version, digest)
		}
	}
	if v, d := push(folder, here, "TAG=v1.2.3"); v != "1.2.3" || d == digest {
		t.Errorf("the release is %s %s", v, d)
	}
	said, err := run(t, folder, nil, helm, "show", "chart", "--plain-http", "oci://"+here+"/pizza", "--version", "1.2.3")
	if err != nil || !strings.Contains(said, "\nversion: 1.2.3") || !strings.Contains(said, "appVersion: 1.2.3\n") {
		t.Errorf("%v: %s", err, said)
	}
	// A change gets a new version, and not that of an existing release.
	values := filepath.Join(folder, "helm/pizza/values.yaml")
	text, err := os.ReadFile(values)
	if err != nil {
		t.Fatal(err)
	}
	write(t, values, string(text)+"# changed\n", 0o600)
	commit(t, folder, "of the chart")
	if v, d := push(folder, here); v == version || d == digest {
		t.Errorf("the change is %s %s too", v, d)
	}
	const other = "has pizza 1.2.3 with other content"
	if out, err := run(t, folder, []string{"TAG=v1.2.3", "PLAIN_HTTP=1"}, "tools/push-charts.sh", helm, here); err == nil || !strings.Contains(out, other) {
		t.Errorf("%v, %s, want %q", err, out, other)
	}
	if v, _ := push(folder, here, "TAG=v1.2.4"); v != "1.2.4" {
		t.Errorf("the next release is %s", v)
	}
}

// A change that only moves images between environments is not code. Any other change is.
func TestCode(t *testing.T) {
	t.Parallel()
	folder := clone(t)
	git(t, folder, "tag", "base")
	code := func(base string) string {
		output := filepath.Join(t.TempDir(), "output")
		out, err := run(t, folder, []string{"BASE=" + base, "GITHUB_OUTPUT=" + output}, "tools/delivery.sh", "code")
		if told, readErr := os.ReadFile(output); err != nil || readErr != nil || string(told) != out+"\n" {
			t.Fatalf("%v, %s, told GitHub %q, %v", err, out, told, readErr)
		}
		return out
	}
	for _, step := range []struct{ file, want string }{
		{"", "code=true"},
		{"deploy/environments/stg/images.yaml", "code=false"},
		{"deploy/environments/prod/images.yaml", "code=false"},
		{"deploy/environments/prod/values.yaml", "code=true"},
	} {
		if step.file != "" {
			write(t, filepath.Join(folder, step.file), "x\n", 0o600)
		}
		commit(t, folder, step.file+"!")
		if got := code("base"); got != step.want {
			t.Errorf("after %s: %s, want %s", step.file, got, step.want)
		}
	}
	git(t, folder, "reset", "-q", "--hard", "base")
	write(t, filepath.Join(folder, "deploy/environments/stg/images.yaml"), "x\n", 0o600)
	commit(t, folder, "moved")
	for base, want := range map[string]string{"base": "code=false", "": "code=true", "nowhere": "code=true"} {
		if got := code(base); got != want {
			t.Errorf("since %q: %s, want %s", base, got, want)
		}
	}
}

// Image tags are {branch}-{shortsha} on nodes and {shortsha} in a registry, and mark uncommitted changes.
func TestTag(t *testing.T) {
	t.Parallel()
	folder := clone(t)
	git(t, folder, "checkout", "-q", "-b", "feature/new_oven")
	short := git(t, folder, "rev-parse", "--short=8", "HEAD")
	programs := t.TempDir()
	write(t, filepath.Join(programs, "make"), "#!/bin/sh\n", 0o700)
	write(t, filepath.Join(programs, "go"), "#!/bin/sh\necho \"$*\"\n", 0o700)
	for _, step := range []struct {
		name      string
		change    func()
		variables []string
		want      string
	}{
		{"branch", func() {}, nil, "-version " + short + " -tag feature-new_oven-" + short + " -- login menu order migrate"},
		{"chosen", func() {}, []string{"TAG=1.2.0", "IMAGES=order", "PULL=1"}, "-pull -version " + short + " -tag 1.2.0 -- order"},
		{"of no branch", func() { git(t, folder, "checkout", "-q", "--detach") }, nil, "-tag " + short + " "},
		{"changed", func() { write(t, filepath.Join(folder, "new"), "", 0o600) }, nil, "-version " + short + "-dirty -tag " + short + "-dirty "},
	} {
		step.change()
		variables := append([]string{"PATH=" + programs + ":" + os.Getenv("PATH"), "TAG=", "IMAGES=", "PULL=", "REGISTRY="}, step.variables...)
		if out, err := run(t, folder, variables, "tools/delivery.sh", "images"); err != nil || !strings.Contains(out+" ", step.want) {
			t.Errorf("%s: %v, %s, want %q", step.name, err, out, step.want)
		}
	}
}
