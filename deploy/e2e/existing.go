package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
)

// moveSecrets lets the chart create the Secrets of the services, and then names them as
// existing ones. That upgrade must not delete them, because new pods could not start.
func moveSecrets(ctx context.Context, s *system) error {
	created, named := []string{"--set", "global.environment=dev"}, []string{}
	for _, service := range services() {
		name, value := service+"-secrets", service+".secrets."
		password, err := s.kubectl(ctx, "get", "secret", name, "-o", "jsonpath={.data.DB_PASSWORD}")
		if err != nil {
			return err
		}
		plain, err := base64.StdEncoding.DecodeString(password)
		if err != nil {
			return err
		}
		created = append(created, "--set", value+"existingSecret=", "--set", value+"values.DB_PASSWORD="+string(plain))
		named = append(named, "--set", value+"existingSecret="+name)
		// Helm takes over only what has its marks.
		_, label := s.kubectl(ctx, "label", "secret", name, "--overwrite", "app.kubernetes.io/managed-by=Helm")
		_, annotate := s.kubectl(ctx, "annotate", "secret", name, "--overwrite",
			"meta.helm.sh/release-name="+release, "meta.helm.sh/release-namespace="+s.namespace)
		if err := errors.Join(label, annotate); err != nil {
			return err
		}
	}
	if err := s.install(ctx, tagAfter, created...); err != nil {
		return err
	}
	before, err := s.secretUIDs(ctx)
	if err != nil {
		return err
	}
	if err := s.install(ctx, tagAfter, named...); err != nil {
		return err
	}
	after, err := s.secretUIDs(ctx)
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("the Secrets were replaced: %s became %s", before, after)
	}
	return errors.Join(rolloutRestart(ctx, s), s.install(ctx, tagAfter))
}

// secretUIDs returns the identities of the services' Secrets.
func (s *system) secretUIDs(ctx context.Context) (string, error) {
	args := []string{"get", "secrets", "-o", "jsonpath={.items[*].metadata.uid}"}
	for _, service := range services() {
		args = append(args, service+"-secrets")
	}
	return s.kubectl(ctx, args...)
}
