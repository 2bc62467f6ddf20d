// Package prometheus runs and queries a Prometheus for the local stack.
//
// The stack writes the scrape targets (stack.TargetsFile). Start adds rules, and
// keeps the data in a folder.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"sigs.k8s.io/yaml"
)

// Options configure Start. All fields except Log are required.
type Options struct {
	Program string        // path of the prometheus binary
	Folder  string        // for configuration and data; created if missing
	Targets string        // file_sd_configs file with the scrape targets; may be written later
	Rules   string        // absolute pattern of the rule files
	Every   time.Duration // scrape and evaluation interval
	Address string        // host:port to listen on; port 0 chooses a free one
	Log     io.Writer     // its output; nil discards it
}

// Server is a running Prometheus.
type Server struct {
	URL     string // without a trailing slash
	process *exec.Cmd
	ended   chan struct{}
	client  *http.Client
}

// object keeps the configuration below readable.
type object = map[string]any

// Start starts a Prometheus and waits until it is ready.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := os.MkdirAll(o.Folder, 0o755); err != nil {
		return nil, err
	}
	address, err := free(ctx, o.Address)
	if err != nil {
		return nil, err
	}
	configuration, err := yaml.Marshal(object{
		"global":     object{"scrape_interval": milliseconds(o.Every), "scrape_timeout": milliseconds(o.Every), "evaluation_interval": milliseconds(o.Every)},
		"rule_files": []string{o.Rules},
		"scrape_configs": []object{{
			"job_name": "pizza", "file_sd_configs": []object{{"files": []string{o.Targets}, "refresh_interval": "5s"}},
		}},
	})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(o.Folder, "prometheus.yaml")
	if err := os.WriteFile(file, configuration, 0o644); err != nil {
		return nil, err
	}
	s := &Server{URL: "http://" + address, ended: make(chan struct{}), client: &http.Client{Timeout: 30 * time.Second}}
	s.process = exec.Command(o.Program, //nolint:noctx // Stop ends it, in order
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(o.Folder, "data"), "--storage.tsdb.retention.time=28d",
		"--enable-feature=exemplar-storage", "--web.listen-address="+address, "--log.level=warn")
	s.process.Stdout, s.process.Stderr = o.Log, o.Log
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches only the parent, which calls Stop
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.process.Wait() // Prometheus has logged the reason
		close(s.ended)
	}()
	if err := s.waitReady(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// free replaces port 0 with a free port.
func free(ctx context.Context, address string) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

func (s *Server) waitReady(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := s.get(ctx, "/-/ready", nil); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("prometheus exited unexpectedly")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Ended is closed when the process has exited, after Stop or unexpectedly.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Stop shuts the process down gracefully.
func (s *Server) Stop() error {
	select {
	case <-s.ended:
		return nil
	default:
	}
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-s.ended
	s.client.CloseIdleConnections()
	return nil
}

// Alert is a pending or firing alert.
type Alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       string            `json:"state"` // pending or firing
	ActiveAt    time.Time         `json:"activeAt"`
}

// Alerts returns the pending and firing alerts.
func (s *Server) Alerts(ctx context.Context) ([]Alert, error) {
	var a struct {
		Alerts []Alert `json:"alerts"`
	}
	err := s.ask(ctx, "/api/v1/alerts", &a)
	return a.Alerts, err
}

func (s *Server) ask(ctx context.Context, path string, into any) error {
	var answer struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := s.get(ctx, path, &answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// get decodes a JSON response. Prometheus also reports errors as JSON.
func (s *Server) get(ctx context.Context, path string, into any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return err
	}
	r, err := s.client.Do(q)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	if into == nil {
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("prometheus: %s", r.Status)
		}
		return nil
	}
	return json.NewDecoder(r.Body).Decode(into)
}
