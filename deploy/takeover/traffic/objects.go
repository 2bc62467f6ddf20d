package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"golang.org/x/sync/errgroup"
)

// The parts of objects that say where requests go.
type (
	metadata struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	}
	ingress struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Rules []struct {
				Host string `json:"host"`
				HTTP struct {
					Paths []struct {
						Path    string `json:"path"`
						Backend struct {
							Service struct {
								Name string `json:"name"`
							} `json:"service"`
						} `json:"backend"`
					} `json:"paths"`
				} `json:"http"`
			} `json:"rules"`
		} `json:"spec"`
	}
	httpRoute struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Rules []routeRule `json:"rules"`
		} `json:"spec"`
		Status struct {
			Parents []struct {
				ControllerName string `json:"controllerName"`
				Conditions     []struct {
					Type    string `json:"type"`
					Status  string `json:"status"`
					Message string `json:"message"`
				} `json:"conditions"`
			} `json:"parents"`
		} `json:"status"`
	}
	routeRule struct {
		Matches []struct {
			Path struct {
				Value string `json:"value"`
			} `json:"path"`
			Method  string `json:"method"`
			Headers []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"headers"`
		} `json:"matches"`
		Filters     []filter  `json:"filters"`
		BackendRefs []backend `json:"backendRefs"`
	}
	filter struct {
		Type string `json:"type"`
	}
	ingressRoute struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Routes []struct {
				Match    string    `json:"match"`
				Services []backend `json:"services"`
			} `json:"routes"`
		} `json:"spec"`
	}
	traefikService struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Weighted *struct {
				Services []backend `json:"services"`
			} `json:"weighted"`
			Mirroring *struct {
				backend
				Mirrors []backend `json:"mirrors"`
			} `json:"mirroring"`
		} `json:"spec"`
	}
	endpointSlice struct {
		Metadata  metadata `json:"metadata"`
		Endpoints []struct {
			Addresses []string `json:"addresses"`
			TargetRef struct {
				Name string `json:"name"`
			} `json:"targetRef"`
			Conditions struct {
				Ready *bool `json:"ready"`
			} `json:"conditions"`
		} `json:"endpoints"`
	}
	// backend is where a rule sends a part of the requests. Without a weight, it counts 1.
	backend struct {
		Kind   string `json:"kind"`
		Name   string `json:"name"`
		Weight *int   `json:"weight"`
	}
)

// objects are those of a namespace.
type objects struct {
	ingresses       []ingress
	httpRoutes      []httpRoute
	ingressRoutes   []ingressRoute
	traefikServices []traefikService
	endpointSlices  []endpointSlice
}

// getter runs kubectl get.
type getter func(ctx context.Context, args ...string) ([]byte, error)

func kubectl(ctx context.Context, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if errors.As(err, new(*exec.ExitError)) {
			err = errors.New(strings.TrimSpace(stderr.String()))
		}
		return nil, err
	}
	return stdout.Bytes(), nil
}

func read(ctx context.Context, namespace string, get getter) (*objects, error) {
	var o objects
	group, ctx := errgroup.WithContext(ctx)
	for resource, into := range map[string]any{
		"ingresses.networking.k8s.io":          &o.ingresses,
		"httproutes.gateway.networking.k8s.io": &o.httpRoutes,
		"ingressroutes.traefik.io":             &o.ingressRoutes,
		"traefikservices.traefik.io":           &o.traefikServices,
		"endpointslices.discovery.k8s.io":      &o.endpointSlices,
	} {
		group.Go(func() error {
			args := []string{"get", resource, "--output=json"}
			if namespace != "" {
				args = append(args, "--namespace="+namespace)
			}
			text, err := get(ctx, args...)
			if err != nil {
				// Not every cluster has the definitions of Traefik and of the Gateway API.
				if strings.Contains(err.Error(), "the server doesn't have a resource type") {
					return nil
				}
				return fmt.Errorf("kubectl get %s: %w", resource, err)
			}
			var list struct{ Items json.RawMessage }
			if err := json.Unmarshal(text, &list); err != nil {
				return fmt.Errorf("kubectl get %s: %w", resource, err)
			}
			if err := json.Unmarshal(list.Items, into); err != nil {
				return fmt.Errorf("kubectl get %s: %w", resource, err)
			}
			return nil
		})
	}
	return &o, group.Wait()
}

// ready counts the ready endpoints of each Service. A pod with addresses of both families is in two slices, and counts
// once.
func (o *objects) ready() map[string]int {
	seen := map[[2]string]bool{}
	counts := map[string]int{}
	for _, slice := range o.endpointSlices {
		service := slice.Metadata.Labels["kubernetes.io/service-name"]
		for _, e := range slice.Endpoints {
			key := [2]string{service, e.TargetRef.Name}
			if key[1] == "" {
				key[1] = strings.Join(e.Addresses, " ")
			}
			if !seen[key] && (e.Conditions.Ready == nil || *e.Conditions.Ready) {
				seen[key] = true
				counts[service]++
			}
		}
	}
	return counts
}
