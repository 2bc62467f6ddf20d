package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// settings returns the configuration for an empty test database.
func settings(t *testing.T) postgres.Config {
	t.Helper()
	c := pgtest.Config(t, pgtest.Empty(t))
	c.MaxConns, c.StatementTimeout = 2, 300*time.Millisecond
	return c
}

func TestOpen(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), settings(t), "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var application, timeout string
	err = pool.QueryRow(t.Context(), "SELECT current_setting('application_name'), current_setting('statement_timeout')").Scan(&application, &timeout)
	if err != nil || application != "oven" || timeout != "300ms" {
		t.Errorf("application %q, statement_timeout %q: %v", application, timeout, err)
	}
}

// TestLibpqVariablesDoNotCount checks that a service uses only its DB_* settings.
func TestLibpqVariablesDoNotCount(t *testing.T) {
	c := settings(t)
	for name, value := range map[string]string{
		"PGSERVICE": "work", "PGHOST": "192.0.2.1", "PGSSLMODE": "verify-full", "PGOPTIONS": "-c search_path=elsewhere",
		"PGTARGETSESSIONATTRS": "standby", "PGSSLROOTCERT": "/nowhere", "PGAPPNAME": "psql", "PGTZ": "Mars/Base",
	} {
		t.Setenv(name, value)
	}
	pool, err := postgres.Open(t.Context(), c, "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var application, path string
	err = pool.QueryRow(t.Context(), "SELECT current_setting('application_name'), current_setting('search_path')").Scan(&application, &path)
	if err != nil || application != "oven" || path != `"$user", public` {
		t.Errorf("application %q, search_path %q: %v", application, path, err)
	}
}

// TestOpenNamesTheFile checks that the error names an unreadable CA file, and not the
// password.
func TestOpenNamesTheFile(t *testing.T) {
	t.Parallel()
	c := settings(t)
	c.SSLMode, c.SSLRootCert = "verify-full", "/nowhere/ca of the shop.crt"
	_, err := postgres.Open(t.Context(), c, "oven", prometheus.NewRegistry())
	if err == nil || !strings.Contains(err.Error(), c.SSLRootCert) || strings.Contains(err.Error(), string(c.Password)) {
		t.Errorf("%v", err)
	}
}

func TestConfigRules(t *testing.T) {
	t.Parallel()
	_, err := config.Load[postgres.Config]([]string{
		"DB_HOST=h", "DB_NAME=n", "DB_USER=u", "DB_PASSWORD=p", "DB_MAX_CONNS=0", "DB_CONNECT_TIMEOUT=0s", "DB_STATEMENT_TIMEOUT=-1s",
		"DB_SSLMODE=perhaps", "DB_PREPARED_STATEMENTS=maybe",
	})
	for _, name := range []string{"DB_MAX_CONNS", "DB_CONNECT_TIMEOUT", "DB_STATEMENT_TIMEOUT", "DB_SSLMODE", "DB_PREPARED_STATEMENTS"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported: %v", name, err)
		}
	}
}
