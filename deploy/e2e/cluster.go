package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// cluster runs kubectl and helm in one namespace.
type cluster struct {
	namespace string
	log       io.Writer // commands and their output
}

// run runs a command and returns its standard output.
func (c cluster) run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	_, _ = fmt.Fprintf(c.log, "$ %s %s\n", name, strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

func (c cluster) kubectl(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, "", "kubectl", append([]string{"--namespace", c.namespace}, args...)...)
}

func (c cluster) apply(ctx context.Context, manifest string) error {
	_, err := c.run(ctx, manifest, "kubectl", "--namespace", c.namespace, "apply", "-f", "-")
	return err
}

func (c cluster) helm(ctx context.Context, args ...string) (string, error) {
	return c.run(ctx, "", "helm", append([]string{"--namespace", c.namespace}, args...)...)
}

// pod is the part of a Pod that the tests use.
type pod struct {
	Metadata struct {
		Name              string
		UID               string
		DeletionTimestamp *time.Time
		Labels            map[string]string
	}
	Spec struct {
		Containers []struct{ Image string }
	}
	Status struct {
		Phase, PodIP      string
		Conditions        []struct{ Type, Status string }
		ContainerStatuses []struct {
			RestartCount int
			ImageID      string
		}
	}
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && p.Metadata.DeletionTimestamp == nil
		}
	}
	return false
}

func (p pod) restarts() (n int) {
	for _, c := range p.Status.ContainerStatuses {
		n += c.RestartCount
	}
	return n
}

// pods returns the pods of a service, or of all services for "".
func (c cluster) pods(ctx context.Context, service string) ([]pod, error) {
	selector := "app.kubernetes.io/component=service"
	if service != "" {
		selector += ",app.kubernetes.io/name=" + service
	}
	out, err := c.kubectl(ctx, "get", "pods", "-o", "json", "-l", selector)
	if err != nil {
		return nil, err
	}
	var list struct{ Items []pod }
	return list.Items, json.Unmarshal([]byte(out), &list)
}

// wait waits until a condition holds. On timeout, the error names what.
func wait(ctx context.Context, what string, limit time.Duration, holds func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		ok, err := holds(ctx)
		if ok && err == nil {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %s (%w)", what, limit, orElse(last, ctx.Err()))
		}
	}
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// rolledOut waits until all pods of all services are up to date and ready.
func (c cluster) rolledOut(ctx context.Context) error {
	for _, s := range services() {
		if _, err := c.kubectl(ctx, "rollout", "status", "deploy/"+s+"-deploy", "--timeout=180s"); err != nil {
			return err
		}
	}
	return nil
}

func services() []string { return []string{"login", "menu", "order"} }
