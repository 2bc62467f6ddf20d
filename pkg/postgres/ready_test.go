package postgres_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/faultproxy"
)

func open(t *testing.T, c postgres.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), c, "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func exec(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// A schema that is too old makes a pod unready whenever it is detected.
func TestSchemaCheck(t *testing.T) {
	t.Parallel()
	pool := open(t, settings(t))
	check := postgres.SchemaCheckEvery(pool, "schema_version", 2, 0)
	if err := check.Run(t.Context()); err == nil {
		t.Error("ready without a version table")
	}
	for _, step := range []struct {
		sql   string
		ready bool
	}{
		{"CREATE TABLE schema_version (version_id bigint, is_applied bool)", false},
		{"INSERT INTO schema_version VALUES (1, true)", false},
		{"INSERT INTO schema_version VALUES (2, true)", true},
		{"INSERT INTO schema_version VALUES (3, true)", true}, // newer is fine
		{"DELETE FROM schema_version WHERE version_id > 1", false},
		{"DROP TABLE schema_version", false}, // nothing else was seen
	} {
		exec(t, pool, step.sql)
		if err := check.Run(t.Context()); (err == nil) != step.ready {
			t.Errorf("after %q: %v, want ready %v", step.sql, err, step.ready)
		}
	}
}

// A failure that affects all pods makes none of them unready, and does not delay the
// probe.
func TestReadyWhileTheDatabaseIsNotReachable(t *testing.T) {
	t.Parallel()
	c := settings(t)
	exec(t, open(t, c), "CREATE TABLE schema_version AS SELECT 2::bigint AS version_id, true AS is_applied")
	for name, breakIt := range map[string]func(*testing.T, *pgxpool.Pool, *faultproxy.Proxy){
		"connections_reset": func(_ *testing.T, _ *pgxpool.Pool, p *faultproxy.Proxy) { p.Set(faultproxy.Reset) },
		"database_silent":   func(_ *testing.T, _ *pgxpool.Pool, p *faultproxy.Proxy) { p.Set(faultproxy.BlackHole) },
		"pool_exhausted": func(t *testing.T, pool *pgxpool.Pool, _ *faultproxy.Proxy) {
			for range pool.Config().MaxConns {
				conn, err := pool.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(conn.Release)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := faultproxy.Listen(net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = proxy.Close() })
			host, port, err := net.SplitHostPort(proxy.Addr())
			if err != nil {
				t.Fatal(err)
			}
			number, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			through := c
			through.Host, through.Port, through.SSLMode, through.ConnectTimeout = host, uint16(number), "disable", time.Minute
			pool := open(t, through)
			t.Cleanup(proxy.Heal) // so that the pool can close
			started, starting := postgres.SchemaCheckEvery(pool, "schema_version", 2, 0), postgres.SchemaCheckEvery(pool, "schema_version", 2, 0)
			if err := started.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			breakIt(t, pool, proxy)
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				began := time.Now()
				if err := started.Run(ctx); err != nil {
					t.Errorf("not ready: %v", err)
				}
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("the probe took %s", took)
				}
				cancel()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := starting.Run(ctx); err == nil {
				t.Error("ready without ever having seen the schema")
			}
		})
	}
}
