package observability_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kinds by the names that pages give them. Those of the chart have an upper case letter.
var kinds = map[string]string{
	"deploy": "Deployment", "deployment": "Deployment", "deployments": "Deployment", "hpa": "HorizontalPodAutoscaler",
	"svc": "Service", "service": "Service", "job": "Job", "jobs": "Job", "configmap": "ConfigMap", "secret": "Secret",
	"servicemonitor": "ServiceMonitor", "prometheusrule": "PrometheusRule", "rollout": "Rollout",
	"namespacedimagevalidatingpolicies.policies.kyverno.io": "NamespacedImageValidatingPolicy",
	"pod": "Pod", "pods": "Pod", "endpointslices": "Service", // which have the labels of their owners
	"events": "event", "replicaset": "replicaset", "certificate": "certificate", "certificaterequest": "certificaterequest", "order.acme": "order.acme",
	"challenge": "challenge", "prometheus": "prometheus",
}

// Namespaces of others, in which this repository has no objects.
var foreign = []string{"argocd", "monitoring", "cert-manager", "kyverno", "pizza-exceptions"}

// kubectl checks that a command can work in prod, where Argo CD applies the chart, the
// policy admits only signed images, and images have no shell.
func (c command) kubectl() error {
	verb, rest, flags, err := parseKubectl(c.args[1:])
	if err != nil {
		return err
	}
	namespace, isNamed := flags["-n"]
	_, isEverywhere := flags["-A"]
	switch {
	case verb == "" || len(rest) == 0 && len(flags) == 0: // the mention of a verb
		return nil
	case verb == "apply":
		if flags["-f"] == "-" {
			return nil
		}
		_, err := os.Stat(filepath.Join("../..", flags["-k"]+flags["-f"]))
		return err
	case isEverywhere || slices.Contains(foreign, namespace):
		return nil
	case !isNamed:
		return errors.New("it has no namespace")
	case namespace != "pizza-prod" && namespace != "pizza": // pizza is an installation without Argo CD
		return fmt.Errorf("the namespace %s is not known to this test", namespace)
	}
	switch verb {
	case "get", "describe", "patch", "annotate", "delete":
		return c.prod.find(rest, flags)
	case "top", "scale":
		return errors.Join(c.prod.find(rest, flags), c.prod.scales(rest, flags["--replicas"]))
	case "rollout":
		if rest[0] != "restart" && rest[0] != "status" {
			return fmt.Errorf("Argo CD reverts rollout %s: use make rollback", rest[0])
		}
		return c.prod.find(rest[1:], flags)
	case "logs", "port-forward":
		if flags["-l"] != "" && flags["--tail"] == "" {
			return errors.New("of pods by labels, kubectl shows ten lines each without --tail")
		}
		if len(rest) == 0 || !strings.Contains(rest[0], "/") {
			rest = append([]string{"pod"}, rest...)
		}
		failed := c.prod.find(rest[:min(len(rest), 2)], flags)
		kind, name, _ := strings.Cut(rest[0], "/")
		if verb == "port-forward" && failed == nil && !c.prod.hasPort(kinds[kind], name, rest[len(rest)-1]) {
			return fmt.Errorf("%s has no port %s", rest[0], rest[len(rest)-1])
		}
		return failed
	case "create":
		// Secrets are not the chart's, which only reads them.
		return nil
	case "exec":
		return errors.New("the images have no shell")
	case "debug", "run":
		if !strings.HasPrefix(flags["--image"], "_") {
			return fmt.Errorf("only signed images are admitted, not %s", flags["--image"])
		}
		return nil
	default:
		return fmt.Errorf("kubectl %s is not known to this test", verb)
	}
}

// parseKubectl returns the verb, the other arguments and the flags.
func parseKubectl(args []string) (verb string, rest []string, flags map[string]string, err error) {
	separate := strings.Fields("-n -l -o -c -f -k -p")
	alone := strings.Fields("-A -w -it --all --all-containers --attach --arguments-only --overwrite --prefix --previous")
	joined := strings.Fields("--since --tail --sort-by --replicas --image --profile --dry-run --patch --from-literal " +
		"--from-file --cert --key --docker-server --docker-username --docker-password")
	flags = map[string]string{}
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	for i := 0; i < len(args); i++ {
		name, value, hasValue := strings.Cut(args[i], "=")
		switch {
		case !strings.HasPrefix(args[i], "-") || args[i] == "-":
			rest = append(rest, args[i])
		case slices.Contains(separate, name) && i+1 < len(args):
			i++
			flags[name] = args[i]
		case slices.Contains(joined, name) && hasValue, slices.Contains(alone, name) && !hasValue:
			flags[name] = value
		default:
			return "", nil, nil, fmt.Errorf("the flag %s is not known to this test", args[i])
		}
	}
	if len(rest) > 0 {
		verb, rest = rest[0], rest[1:]
	}
	return verb, rest, flags, nil
}

// find checks that objects exist: kinds with a name, kind/name, or kinds with labels.
func (r release) find(rest []string, flags map[string]string) error {
	if len(rest) == 0 {
		return errors.New("it has no kind")
	}
	list, name, _ := strings.Cut(rest[0], "/")
	if name == "" && len(rest) > 1 {
		name = rest[1]
	}
	for alias := range strings.SplitSeq(list, ",") {
		kind := kinds[alias]
		switch {
		case kind == "":
			return fmt.Errorf("the kind %s is not known to this test", alias)
		case kind == strings.ToLower(kind): // not the chart's
			continue
		}
		if err := r.has(kind, name, flags["-l"]); err != nil {
			return err
		}
		if container := flags["-c"]; container != "" && !r.hasContainer(kind, name, container) {
			return fmt.Errorf("there is no container %s", container)
		}
	}
	return nil
}

// has checks that an object has the name, unless that is empty or filled in, and that
// one of the kind has the labels.
func (r release) has(kind, name, labels string) error {
	isKnown := name == "" || strings.HasPrefix(name, "_") || r[kind+"/"+name] != nil || kind == "Secret" && r.reads(name)
	if !isKnown {
		return fmt.Errorf("there is no %s/%s", kind, name)
	}
	if labels == "" {
		return nil
	}
	for o := range r.of(kind) {
		all := true
		for pair := range strings.SplitSeq(labels, ",") {
			key, value, _ := strings.Cut(pair, "=")
			all = all && inside(o, "metadata", "labels", key) == value
		}
		if all {
			return nil
		}
	}
	return fmt.Errorf("no %s has the labels %s", kind, labels)
}

// of yields the objects of a kind. Pods are those of templates.
func (r release) of(kind string) func(yield func(object) bool) {
	return func(yield func(object) bool) {
		for key, o := range r {
			of, _, _ := strings.Cut(key, "/")
			if kind == "Pod" {
				template, isTemplate := inside(o, "spec", "template").(object)
				if isTemplate && !yield(template) {
					return
				}
			}
			if of == kind && !yield(o) {
				return
			}
		}
	}
}

// reads reports whether a pod reads a Secret, which may be nobody's in the chart.
func (r release) reads(secret string) bool {
	for pod := range r.of("Pod") {
		if strings.Contains(fmt.Sprint(pod), ":"+secret+"]") || strings.Contains(fmt.Sprint(pod), ":"+secret+" ") {
			return true
		}
	}
	return false
}

// templates returns the pods of an object, or all pods of a kind without a name.
func (r release) templates(kind, name string) (pods []object) {
	if template, isTemplate := inside(r[kind+"/"+name], "spec", "template").(object); isTemplate {
		return []object{template}
	}
	for pod := range r.of("Pod") {
		pods = append(pods, pod)
	}
	return pods
}

func (r release) hasContainer(kind, name, container string) bool {
	for _, pod := range r.templates(kind, name) {
		containers, _ := inside(pod, "spec", "containers").([]any)
		if slices.ContainsFunc(containers, func(c any) bool { return inside(c, "name") == container }) {
			return true
		}
	}
	return false
}

// hasPort reports whether a Service, or a container of a pod, has a port.
func (r release) hasPort(kind, name, port string) bool {
	number, _ := strconv.Atoi(port)
	has := func(ports any, key string) bool {
		list, _ := ports.([]any)
		return slices.ContainsFunc(list, func(p any) bool { return inside(p, key) == float64(number) })
	}
	if kind == "Service" {
		return has(inside(r["Service/"+name], "spec", "ports"), "port")
	}
	for _, pod := range r.templates(kind, name) {
		containers, _ := inside(pod, "spec", "containers").([]any)
		if slices.ContainsFunc(containers, func(c any) bool { return has(inside(c, "ports"), "containerPort") }) {
			return true
		}
	}
	return false
}

// scales checks that an autoscaler does not undo the scaling: it takes over from zero pods
// at the minimum, and chooses any other number itself.
func (r release) scales(rest []string, replicas string) error {
	if replicas == "" {
		return nil
	}
	_, name, _ := strings.Cut(rest[0], "/")
	for scaler := range r.of("HorizontalPodAutoscaler") {
		least := fmt.Sprint(inside(scaler, "spec", "minReplicas"))
		if inside(scaler, "spec", "scaleTargetRef", "name") == name && replicas != least {
			return fmt.Errorf("the autoscaler of %s undoes it, except from 0 to its minimum %s", name, least)
		}
	}
	return nil
}
