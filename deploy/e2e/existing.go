package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/pgurl"
)

// moveSecrets lets the chart create the Secrets of the services, and then names them as
// existing ones. That upgrade must not delete them, because new pods could not start. Its
// migration applies the roles too, with the passwords in these Secrets.
func moveSecrets(ctx context.Context, s *system) error {
	created := []string{"--set", "global.environment=dev"}
	named := []string{"--set", "migration.roles.existingSecret=" + administrator}
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
	if err := s.applyRoles(ctx, named); err != nil {
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

// administrator is the Secret with the credentials for migrate roles.
const administrator = "database-admin"

// applyRoles upgrades with the arguments, and checks that the migration has applied the roles.
func (s *system) applyRoles(ctx context.Context, more []string) (err error) {
	u, err := url.Parse(s.database.url())
	if err != nil {
		return err
	}
	password, _ := u.User.Password()
	if _, err := s.kubectl(ctx, "create", "secret", "generic", administrator,
		"--from-literal=DB_USER="+u.User.Username(), "--from-literal=DB_PASSWORD="+password); err != nil {
		return err
	}
	defer func() {
		_, deleteErr := s.kubectl(ctx, "delete", "secret", administrator)
		err = errors.Join(err, deleteErr)
	}()
	const drifted, want = 1000, 20 // two pods with 3+2 connections, twice while they are replaced
	if _, err := migrations.LimitConnections(ctx, u.String(), migrations.Connections{Login: new(drifted)}); err != nil {
		return err
	}
	if err := s.install(ctx, tagAfter, more...); err != nil {
		return err
	}
	conn, err := pgurl.Connect(ctx, u.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	rows, err := conn.Query(ctx, "SELECT rolconnlimit::int FROM pg_roles WHERE rolname = 'login_svc'")
	if err != nil {
		return err
	}
	got, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	if err == nil && got != want {
		err = fmt.Errorf("the connection limit of login_svc is %d, want %d: the roles were not applied", got, want)
	}
	return err
}
