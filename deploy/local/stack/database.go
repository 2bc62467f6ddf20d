package stack

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"example.com/pizza/deploy/local/internal/datadir"
	"example.com/pizza/migrations"
	"example.com/pizza/pkg/testkit/pgserver"
)

const databaseName = "pizza"

// startDatabase prepares the database for the services: the server, the
// database, the roles, the schema, the menu and a demo member. Every step is
// idempotent, and quick when there is nothing to do.
func (s *Stack) startDatabase(ctx context.Context) error {
	start := time.Now()
	address, err := s.databaseServer(ctx)
	if err != nil {
		return err
	}
	if s.server != nil {
		s.progress("PostgreSQL at %s after %s", address.Host, seconds(start))
	} else {
		s.progress("using the PostgreSQL of DATABASE_URL, %s", address.Host)
	}

	start = time.Now()
	address.Path = "/" + databaseName
	s.database = address
	if _, err := migrations.CreateDatabase(ctx, address.String()); err != nil {
		return fmt.Errorf("create the database %s: %w", databaseName, err)
	}
	passwords, err := s.passwords()
	if err != nil {
		return err
	}
	if err := migrations.ApplyRoles(ctx, address.String(), passwords); err != nil {
		return fmt.Errorf("apply the roles: %w", err)
	}
	migrator := *address
	migrator.User = url.UserPassword("migrator", passwords.Migrator)
	if err := migrations.Up(ctx, migrator.String()); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := migrations.Seed(ctx, migrator.String()); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	s.progress("roles, schema, menu and demo member in place after %s", seconds(start))
	return nil
}

// databaseServer returns the superuser's address of the server. Unless the user
// names a server, it starts one.
func (s *Stack) databaseServer(ctx context.Context) (*url.URL, error) {
	if s.options.DatabaseURL != "" {
		return parseDatabaseURL(s.options.DatabaseURL)
	}
	server, err := pgserver.Start(ctx, pgserver.Options{
		DataDir: s.dir.Path(datadir.Database), Settings: s.options.PostgreSQL, Log: s.options.Progress,
	})
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.server = server
	go func() {
		<-server.Done()
		s.fail(errors.New("PostgreSQL exited unexpectedly"))
	}()
	return url.Parse(server.URL("postgres"))
}

// parseDatabaseURL parses the user's DATABASE_URL. Errors do not quote it,
// because it contains a password.
func parseDatabaseURL(dsn string) (*url.URL, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Hostname() == "" || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errors.New("DATABASE_URL must be a superuser's address of a PostgreSQL server: " +
			"postgres://user:password@host:port/postgres")
	}
	if u.Port() == "" {
		u.Host += ":5432"
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/postgres"
	}
	return u, nil
}

// passwords returns the roles' passwords. Applying the roles replaces any other
// passwords on the server.
func (s *Stack) passwords() (migrations.Passwords, error) {
	secrets := s.dir.Secrets()
	var p migrations.Passwords
	for role, password := range map[string]*string{"migrator": &p.Migrator, "login_svc": &p.Login, "menu_svc": &p.Menu, "order_svc": &p.Order} {
		var err error
		if *password, err = secrets.Get("db_" + role); err != nil {
			return p, err
		}
	}
	return p, nil
}

// databaseSettings returns the variables with which a service connects as role.
func (s *Stack) databaseSettings(role string) ([]string, error) {
	password, err := s.dir.Secrets().Get("db_" + role)
	if err != nil {
		return nil, err
	}
	settings := []string{
		"DB_HOST=" + s.database.Host, "DB_NAME=" + databaseName, "DB_USER=" + role, "DB_PASSWORD=" + password,
	}
	for parameter, variable := range map[string]string{"sslmode": "DB_SSLMODE", "sslrootcert": "DB_SSLROOTCERT"} {
		if value := s.database.Query().Get(parameter); value != "" {
			settings = append(settings, variable+"="+value)
		}
	}
	return settings, nil
}
