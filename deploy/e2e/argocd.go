package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// argocd is Argo CD outside of the cluster. Its controllers are processes on this
// machine that use KUBECONFIG. Their objects are in the namespace argocd.
type argocd struct {
	cluster
	bin, work string
	processes []*exec.Cmd
	team      *httptest.Server // receives the notifications
	mu        sync.Mutex
	heard     []string
}

// Loopback addresses of the controllers.
const (
	redisAddress      = "127.0.0.1:16379"
	repoServerAddress = "127.0.0.1:18081"
)

func (a *argocd) start(ctx context.Context, root string) error {
	module, err := a.run(ctx, "", "env", "GOWORK=off", "go", "-C", filepath.Join(root, "tools", "argocd"), "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-cd/v3")
	if err != nil {
		return err
	}
	module = strings.TrimSpace(module)
	// The repo server calls a script that its image contains.
	script, err := os.ReadFile(filepath.Join(module, "hack", "git-verify-wrapper.sh"))
	if err != nil {
		return err
	}
	for _, folder := range []string{"bin", "tls", "ssh", "plugins"} {
		if err := os.MkdirAll(filepath.Join(a.work, folder), 0o750); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(a.work, "bin", "git-verify-wrapper.sh"), script, 0o700); err != nil {
		return err
	}
	rollouts, err := a.run(ctx, "", "env", "GOWORK=off", "go", "-C", filepath.Join(root, "tools", "rollouts"), "list", "-m", "-f", "{{.Dir}}", "github.com/argoproj/argo-rollouts")
	if err != nil {
		return err
	}
	for _, module := range []string{module, strings.TrimSpace(rollouts)} {
		if _, err := a.kubectl(ctx, "apply", "--server-side", "--force-conflicts", "-k", filepath.Join(module, "manifests", "crds")); err != nil {
			return err
		}
	}
	err = wait(ctx, "the API of Argo CD", time.Minute, func(ctx context.Context) (bool, error) {
		_, err := a.kubectl(ctx, "get", "applicationsets,applications,appprojects,rollouts,analysistemplates")
		return err == nil, err
	})
	if err != nil {
		return err
	}
	a.team = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct {
			Text    string
			Payload struct{ Environment, Service, Revision string } `json:"client_payload"`
		}
		if json.NewDecoder(r.Body).Decode(&message) == nil {
			if message.Text == "" { // a message for GitHub
				message.Text = "deployed " + message.Payload.Service + " in " + message.Payload.Environment + " at " + message.Payload.Revision
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.heard = append(a.heard, message.Text)
		}
	}))
	const labels = `"labels":{"app.kubernetes.io/part-of":"argocd"}`
	if err := a.makeNamespace(ctx); err != nil {
		return err
	}
	for _, object := range []string{
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"argocd-cm",` + labels + `}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"argocd-secret",` + labels + `},"stringData":{"server.secretkey":"of no server"}}`,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"argocd-notifications-secret",` + labels + `}}`,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"argocd-notifications-cm",` + labels + `},"data":{"template.platform":"message: of the platform\n"}}`,
	} {
		if err := a.apply(ctx, object); err != nil {
			return err
		}
	}
	const wide = "--namespace=argocd"
	for _, args := range [][]string{
		{"redis", redisAddress},
		{"repo-server", "--redis=" + redisAddress, "--address=127.0.0.1", "--port=18081", "--metrics-address=127.0.0.1", "--metrics-port=18084", "--disable-tls", "--client-ca-path="},
		{"application-controller", wide, "--redis=" + redisAddress, "--repo-server=" + repoServerAddress, "--repo-server-plaintext", "--metrics-port=18082", "--self-heal-timeout-seconds=1"},
		{"applicationset-controller", wide, "--argocd-repo-server=" + repoServerAddress, "--repo-server-plaintext", "--metrics-addr=127.0.0.1:18085", "--probe-addr=127.0.0.1:18086", "--webhook-addr=127.0.0.1:18087"},
		{"notifications-controller", wide, "--argocd-repo-server=" + repoServerAddress, "--argocd-repo-server-plaintext", "--metrics-port=18088"},
	} {
		if err := a.process(ctx, args[0], "argocd", args...); err != nil {
			return err
		}
	}
	return nil
}

// process starts a program that runs until stop. Its log file has its name.
func (a *argocd) process(ctx context.Context, name, program string, args ...string) (err error) {
	log, err := os.Create(filepath.Join(a.work, name+".log"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }() // the process has its own descriptor
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(a.bin, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(),
		"PATH="+strings.Join([]string{filepath.Join(a.work, "bin"), a.bin, os.Getenv("PATH")}, string(os.PathListSeparator)), // helm
		"ARGOCD_FAKE_IN_CLUSTER=true", // use the cluster in KUBECONFIG
		"ARGOCD_GPG_ENABLED=false", "ARGOCD_TLS_DATA_PATH="+filepath.Join(a.work, "tls"), "ARGOCD_SSH_DATA_PATH="+filepath.Join(a.work, "ssh"),
		"ARGOCD_PLUGINSOCKFILEPATH="+filepath.Join(a.work, "plugins"), "TMPDIR="+a.work,
		"XDG_DATA_HOME="+a.work, "XDG_CACHE_HOME="+a.work, "XDG_CONFIG_HOME="+a.work)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.processes = append(a.processes, cmd)
	return nil
}

// stop stops the controllers. Their objects stay.
func (a *argocd) stop() error {
	var err error
	for _, p := range slices.Backward(a.processes) {
		err = errors.Join(err, p.Process.Signal(syscall.SIGTERM))
		if waitErr := p.Wait(); !errors.As(waitErr, new(*exec.ExitError)) { // they exit with 1 or by the signal
			err = errors.Join(err, waitErr)
		}
	}
	if a.team != nil {
		a.team.Close()
	}
	return err
}

// notified waits for a message to the team.
func (a *argocd) notified(ctx context.Context, about string) error {
	return wait(ctx, "a message about "+about, 4*time.Minute, func(context.Context) (bool, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		return slices.ContainsFunc(a.heard, func(text string) bool { return strings.Contains(text, about) }), nil
	})
}

// application is the part of an Application that the tests use.
type application struct {
	Metadata struct{ Name string }
	Spec     struct {
		SyncPolicy struct{ SyncOptions []string }
	}
	Status struct {
		Sync           synced
		Health         struct{ Status string }
		OperationState *struct {
			Phase, Message string
			SyncResult     synced
		}
		Conditions []struct{ Type, Message string }
	}
}

// synced contains a revision for each source.
type synced struct {
	Status    string
	Revisions []string
}

// commit returns the commit of main.
func (s synced) commit() string {
	if len(s.Revisions) != 2 {
		return ""
	}
	return s.Revisions[1]
}

func (p application) String() string {
	text := fmt.Sprintf("%s %s at %.8s, %s", p.Metadata.Name, p.Status.Sync.Status, p.Status.Sync.commit(), p.Status.Health.Status)
	if o := p.Status.OperationState; o != nil {
		text += ", " + o.Phase + ": " + o.Message
	}
	for _, c := range p.Status.Conditions {
		text += fmt.Sprintf(", %s: %s", c.Type, c.Message)
	}
	return text
}

// runs reports whether the Application is synced to a revision and healthy.
func (p application) runs(revision string) bool {
	return p.Status.Sync.commit() == revision && p.Status.Sync.Status == "Synced" && p.Status.Health.Status == "Healthy" &&
		(p.Status.OperationState == nil || p.Status.OperationState.Phase != "Running")
}

func (a *argocd) application(ctx context.Context, name string) (application, error) {
	var p application
	out, err := a.kubectl(ctx, "get", "application", name, "-o", "json")
	if err != nil {
		return p, err
	}
	return p, json.Unmarshal([]byte(out), &p)
}

// applications returns the Applications of an environment.
func (a *argocd) applications(ctx context.Context, environment string) ([]application, error) {
	out, err := a.kubectl(ctx, "get", "applications", "-l", "environment="+environment, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []application }
	return list.Items, json.Unmarshal([]byte(out), &list)
}

// refresh makes Argo CD poll the repository now, like a webhook from the git
// server.
func (a *argocd) refresh(ctx context.Context) error {
	_, err := a.kubectl(ctx, "annotate", "applicationsets", "--all", "--overwrite", "argocd.argoproj.io/application-set-refresh=true")
	if err != nil {
		return err
	}
	_, err = a.kubectl(ctx, "annotate", "applications", "--all", "--overwrite", "argocd.argoproj.io/refresh=normal")
	return err
}

// brought waits until every Application of an environment runs a revision.
func (a *argocd) brought(ctx context.Context, environment, revision string) error {
	return wait(ctx, environment+" at "+revision[:8], 5*time.Minute, func(ctx context.Context) (bool, error) {
		all, err := a.applications(ctx, environment)
		if err == nil && len(all) < 4 {
			err = fmt.Errorf("there are %d Applications", len(all))
		}
		for _, p := range all {
			if !p.runs(revision) {
				return false, errors.Join(err, errors.New(p.String()))
			}
		}
		return err == nil, err
	})
}

// sync syncs an Application manually or automatically, once it shows the changes of the
// revision. It shows none while its chart differs from the one that the revision pins.
func (a *argocd) sync(ctx context.Context, name, revision string, byItself bool) error {
	err := wait(ctx, name+" at "+revision[:8], time.Minute, func(ctx context.Context) (bool, error) {
		p, err := a.application(ctx, name)
		if err == nil && (p.Status.Sync.commit() != revision || p.Status.Sync.Status == "Unknown") {
			err = errors.New(p.String())
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	p, err := a.application(ctx, name)
	if err != nil {
		return err
	}
	operation, err := json.Marshal(map[string]any{"operation": map[string]any{
		"initiatedBy": map[string]any{"username": "operator", "automated": byItself},
		"sync":        map[string]any{"revisions": p.Status.Sync.Revisions, "prune": true, "syncOptions": p.Spec.SyncPolicy.SyncOptions},
	}})
	if err != nil {
		return err
	}
	_, err = a.kubectl(ctx, "patch", "application", name, "--type=merge", "-p", string(operation))
	return err
}

// terminate ends the operation of an Application, like "argocd app terminate-op". An
// Application with nothing to sync has finished its operation, whatever the window is.
func (a *argocd) terminate(ctx context.Context, name string) error {
	p, err := a.application(ctx, name)
	if err != nil || p.Status.OperationState == nil || p.Status.OperationState.Phase != "Running" {
		return err
	}
	const ended = `{"status":{"operationState":{"phase":"Terminating"}}}`
	if _, err := a.kubectl(ctx, "patch", "application", name, "--type=merge", "-p", ended); err != nil {
		return err
	}
	return wait(ctx, "the end of the operation of "+name, time.Minute, func(ctx context.Context) (bool, error) {
		p, err := a.application(ctx, name)
		if err == nil && (p.Status.OperationState == nil || p.Status.OperationState.Phase != "Failed") {
			err = errors.New(p.String())
		}
		return err == nil, err
	})
}

// readOnly writes a kubeconfig with the token of the verification.
func (a *argocd) readOnly(ctx context.Context) (string, error) {
	text, err := a.kubectl(ctx, "config", "view", "--minify", "--flatten", "--output=json")
	if err != nil {
		return "", err
	}
	var own struct {
		Clusters []struct{ Cluster json.RawMessage }
	}
	if err := json.Unmarshal([]byte(text), &own); err != nil {
		return "", err
	}
	if len(own.Clusters) != 1 {
		return "", fmt.Errorf("%d clusters in the kubeconfig, want 1", len(own.Clusters))
	}
	token, err := a.kubectl(ctx, "create", "token", "verify")
	if err != nil {
		return "", err
	}
	config := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"verify","clusters":[{"name":"verify","cluster":%s}],`+
		`"users":[{"name":"verify","user":{"token":%q}}],"contexts":[{"name":"verify","context":{"cluster":"verify","user":"verify"}}]}`,
		own.Clusters[0].Cluster, strings.TrimSpace(token))
	file := filepath.Join(a.work, "verify.kubeconfig")
	return file, os.WriteFile(file, []byte(config), 0o600)
}

// keepsNotifications checks that the platform's own notifications are as before.
func (a *argocd) keepsNotifications(ctx context.Context) error {
	out, err := a.kubectl(ctx, "get", "configmap", "argocd-notifications-cm", "-o", "jsonpath={.data.template\\.platform}")
	if err == nil && out != "message: of the platform\n" {
		err = fmt.Errorf("the notifications of the platform are %q", out)
	}
	return err
}
