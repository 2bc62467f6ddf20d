package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Settings describe the cluster. The defaults suit a cluster on this machine.
type Settings struct {
	Namespace        string        `env:"E2E_NAMESPACE" envDefault:"pizza-e2e" doc:"Namespace to install into; made, and deleted at the end"`
	Ingress          string        `env:"E2E_INGRESS" envDefault:"http://localhost" doc:"Address of the Ingress controller as this machine sees it"`
	IngressNamespace string        `env:"E2E_INGRESS_NAMESPACE" envDefault:"traefik" doc:"Namespace of the Ingress controller"`
	Host             string        `env:"E2E_HOST" doc:"Address of this machine as pods see it, where PostgreSQL is; empty is the address of the node, if this machine has it"`
	LoadImage        string        `env:"E2E_LOAD_IMAGE,required,notEmpty" doc:"Command that gives the nodes an OCI archive, whose path is its last argument; for kind: kind load image-archive"`
	Images           string        `env:"E2E_IMAGES" doc:"Folder of images that make images built, to run these very images; what is not there is built"`
	NodeExec         string        `env:"E2E_NODE_EXEC" doc:"Command that runs another one on the node, for kind: docker exec kind-control-plane; empty when this machine is the node"`
	Rate             int           `env:"E2E_RATE" envDefault:"20" rule:"min=1" doc:"Requests per second of all customers"`
	Calm             time.Duration `env:"E2E_CALM" envDefault:"5s" doc:"Undisturbed time before and after each disturbance"`
	Keep             bool          `env:"E2E_KEEP" doc:"Leave the release and its database after the scenarios, to look at, until Ctrl-C"`
	Only             string        `env:"E2E_ONLY" doc:"Run only the scenarios with these names, separated by commas"`
}

func (s Settings) only() []string {
	if s.Only == "" {
		return nil
	}
	return strings.Split(s.Only, ",")
}

// Validate returns an error for invalid settings.
func (s Settings) Validate() error {
	var bad []error
	if u, err := url.Parse(s.Ingress); err != nil || u.Host == "" {
		bad = append(bad, errors.New("E2E_INGRESS must be an address such as http://localhost:8080"))
	}
	for _, name := range s.only() {
		if !slices.Contains(names(), name) {
			bad = append(bad, fmt.Errorf("E2E_ONLY: there is no %q; there are %s", name, strings.Join(names(), ", ")))
		}
	}
	return errors.Join(bad...)
}
