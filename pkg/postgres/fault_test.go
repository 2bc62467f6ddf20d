package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/testkit/pgtest"
)

// admin runs statements as the superuser.
func admin(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// withRole returns settings for a new role, which is dropped after the test.
func withRole(t *testing.T, options string) (postgres.Config, string) {
	t.Helper()
	server, role := pgtest.URL(t), "cook_"+strings.ToLower(rand.Text())
	admin(t, server, "CREATE ROLE "+role+" PASSWORD 'right' "+options)
	t.Cleanup(func() { // after the database, which has objects of the role
		conn, err := pgx.Connect(context.Background(), server)
		if err == nil {
			_, err = conn.Exec(context.Background(), "DROP ROLE "+role)
			_ = conn.Close(context.Background())
		}
		if err != nil {
			t.Error(err)
		}
	})
	dsn := pgtest.Empty(t)
	c := pgtest.Config(t, dsn)
	c.User, c.Password, c.MaxConns, c.ConnectTimeout = role, "right", 1, time.Second
	return c, dsn
}

// listen returns the port of a server that calls serve for each connection.
func listen(t *testing.T, serve func(net.Conn)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go serve(conn)
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

// mustBe checks the meaning of an error for clients and operators: its code, and
// its kind in the metric, counted once.
func mustBe(t *testing.T, registry *prometheus.Registry, err error, code fault.Code, kind string) {
	t.Helper()
	got := postgres.Fault(err)
	if fault.CodeOf(got) != code {
		t.Errorf("%v is %q, want %q", err, fault.CodeOf(got), code)
	}
	var f *fault.Error
	if code == fault.Unavailable && errors.As(got, &f) && f.RetryAfter <= 0 {
		t.Error("no Retry-After")
	}
	for _, k := range []string{"unreachable", "refusing", "unusable", "timeout", "canceled", "constraint", "unkeepable", "other"} {
		want := 0.0
		if k == kind {
			want = 1
		}
		if n := value(t, registry, "db_client_errors_total", map[string]string{"pool": "oven", "kind": k}); n != want {
			t.Errorf("%v: %v errors are %q, want %v", err, n, k, want)
		}
	}
}

// A service without a connection answers 503. It reports whether the server is
// unreachable, rejects all clients for now, or rejects this service until an operator
// acts.
func TestFailedConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		role   string
		change func(t *testing.T, c *postgres.Config, dsn string)
		kind   string
	}{
		"28000_role_may_not_log_in": {"NOLOGIN", nil, "unusable"},
		"28P01_other_password":      {"LOGIN", func(_ *testing.T, c *postgres.Config, _ string) { c.Password = "changed" }, "unusable"},
		"28P01_password_expired":    {"LOGIN VALID UNTIL '2020-01-01'", nil, "unusable"},
		"28P01_role_dropped":        {"LOGIN", func(_ *testing.T, c *postgres.Config, _ string) { c.User = "nobody" }, "unusable"},
		"3D000_no_such_database":    {"LOGIN", func(_ *testing.T, c *postgres.Config, _ string) { c.Name = "nowhere" }, "unusable"},
		"42501_may_not_connect": {"LOGIN", func(t *testing.T, c *postgres.Config, dsn string) {
			admin(t, dsn, "REVOKE CONNECT ON DATABASE "+c.Name+" FROM PUBLIC")
		}, "unusable"},
		"55000_database_closed": {"LOGIN", func(t *testing.T, c *postgres.Config, _ string) {
			admin(t, pgtest.URL(t), "ALTER DATABASE "+c.Name+" ALLOW_CONNECTIONS false")
		}, "unusable"},
		"53300_no_connection_left": {"LOGIN CONNECTION LIMIT 0", nil, "refusing"},
		"no_tls":                   {"LOGIN", func(_ *testing.T, c *postgres.Config, _ string) { c.SSLMode = "require" }, "unreachable"},
		"nothing_listens":          {"LOGIN", func(_ *testing.T, c *postgres.Config, _ string) { c.Port = 1 }, "unreachable"},
		"no_answer": {"LOGIN", func(t *testing.T, c *postgres.Config, _ string) {
			c.Port, c.ConnectTimeout = listen(t, func(net.Conn) {}), 100*time.Millisecond
		}, "unreachable"},
		"other_protocol": {"LOGIN", func(t *testing.T, c *postgres.Config, _ string) {
			c.Port = listen(t, func(conn net.Conn) { _, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) })
		}, "unreachable"},
		"hangs_up": {"LOGIN", func(t *testing.T, c *postgres.Config, _ string) {
			c.Port = listen(t, func(conn net.Conn) { _ = conn.Close() })
		}, "unreachable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, dsn := withRole(t, test.role)
			if test.change != nil {
				test.change(t, &c, dsn)
			}
			registry := prometheus.NewRegistry()
			pool, err := postgres.Open(t.Context(), c, "oven", registry)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			_, err = pool.Exec(t.Context(), "SELECT 1")
			if state, _, ok := strings.Cut(name, "_"); ok && state[0] < 'a' && !strings.Contains(fmt.Sprint(err), "SQLSTATE "+state) {
				t.Errorf("the server says: %v", err)
			}
			mustBe(t, registry, err, fault.Unavailable, test.kind)
		})
	}
}

// Every server state that an operator or the machine can cause is a 503, and counted
// as a kind that has an alert. A defect of ours is a 500.
func TestFailedStatement(t *testing.T) {
	t.Parallel()
	raise := func(state string) []string {
		return []string{"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '" + state + "'; END $$"}
	}
	for name, test := range map[string]struct {
		statements []string // the last one fails
		code       fault.Code
		kind       string
	}{
		"25006_read_only":             {[]string{"SET default_transaction_read_only = on", "CREATE TABLE t ()"}, fault.Unavailable, "unusable"},
		"42501_no_grant":              {[]string{"SELECT * FROM kept"}, fault.Unavailable, "unusable"},
		"42P01_no_table":              {[]string{"SELECT * FROM oven"}, fault.Unavailable, "unusable"},
		"42P01_schema_gone":           {[]string{"SELECT * FROM nowhere.oven"}, fault.Unavailable, "unusable"},
		"3F000_schema_not_on_path":    {[]string{"SET search_path = nowhere", "CREATE TABLE t ()"}, fault.Unavailable, "unusable"},
		"3F000_function_of_no_schema": {[]string{"SELECT nowhere.f()"}, fault.Unavailable, "unusable"},
		"42703_no_column":             {[]string{"SELECT oven FROM pg_class"}, fault.Unavailable, "unusable"},
		"42883_no_function":           {[]string{"SELECT bake()"}, fault.Unavailable, "unusable"},
		"26000_statement_lost":        {[]string{"EXECUTE bake"}, fault.Unavailable, "unusable"},
		"58030_io_error":              {raise("58030"), fault.Unavailable, "unusable"},
		"58P01_file_gone":             {raise("58P01"), fault.Unavailable, "unusable"},
		"XX001_data_damaged":          {raise("XX001"), fault.Unavailable, "unusable"},
		"XX002_index_damaged":         {raise("XX002"), fault.Unavailable, "unusable"},
		"F0000_configuration":         {raise("F0000"), fault.Unavailable, "unusable"},
		"53100_disk_full":             {raise("53100"), fault.Unavailable, "refusing"},
		"53200_out_of_memory":         {raise("53200"), fault.Unavailable, "refusing"},
		"53400_limit_of_settings":     {raise("53400"), fault.Unavailable, "refusing"},
		"55006_object_in_use":         {raise("55006"), fault.Unavailable, "refusing"},
		"57P01_backend_terminated":    {[]string{"SELECT pg_terminate_backend(pg_backend_pid())"}, fault.Unavailable, "refusing"},
		"57P02_crash":                 {raise("57P02"), fault.Unavailable, "refusing"},
		"57P03_starting":              {raise("57P03"), fault.Unavailable, "refusing"},
		"40001_serialization":         {raise("40001"), fault.Unavailable, "refusing"},
		"40P01_deadlock":              {raise("40P01"), fault.Unavailable, "refusing"},
		"08006_of_a_pooler":           {raise("08006"), fault.Unavailable, "unreachable"},
		"57014_statement_timeout":     {[]string{"SELECT pg_sleep(5)"}, fault.Unavailable, "timeout"},
		"57014_canceled_by_operator":  {[]string{"SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(1)"}, fault.Unavailable, "timeout"},
		"55P03_lock_timeout":          {raise("55P03"), fault.Unavailable, "timeout"},
		"23505_unique":                {raise("23505"), fault.Internal, "constraint"},
		"22012_division_by_zero":      {[]string{"SELECT 1 / 0"}, fault.Internal, "other"},
		"42601_syntax":                {[]string{"SELEKT"}, fault.Internal, "other"},
		"P0001_raised":                {raise("P0001"), fault.Internal, "other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, dsn := withRole(t, "LOGIN")
			c.StatementTimeout = 300 * time.Millisecond
			admin(t, dsn, "CREATE TABLE kept ()", "GRANT CREATE ON SCHEMA public TO PUBLIC")
			registry := prometheus.NewRegistry()
			pool, err := postgres.Open(t.Context(), c, "oven", registry)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			for i, sql := range test.statements {
				if _, err = pool.Exec(t.Context(), sql); (err == nil) != (i < len(test.statements)-1) {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			if state, _, _ := strings.Cut(name, "_"); !strings.Contains(err.Error(), "SQLSTATE "+state) {
				t.Errorf("the server says: %v", err)
			}
			mustBe(t, registry, err, test.code, test.kind)
		})
	}
}

// A session with a setting that an operator has since corrected, such as a
// read-only default, is not reused.
func TestCorrectedServerIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	c, dsn := withRole(t, "LOGIN")
	admin(t, dsn, "GRANT CREATE ON SCHEMA public TO PUBLIC", "ALTER DATABASE "+c.Name+" SET default_transaction_read_only = on")
	pool, err := postgres.Open(t.Context(), c, "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	write := func() error {
		var b pgx.Batch
		b.Queue("SELECT 1")
		b.Queue("CREATE TEMP TABLE t () ON COMMIT DROP")
		b.Queue("CREATE TABLE dough ()")
		return pool.SendBatch(t.Context(), &b).Close()
	}
	if err := write(); fault.CodeOf(postgres.Fault(err)) != fault.Unavailable {
		t.Errorf("read-only: %v", err)
	}
	admin(t, dsn, "SET default_transaction_read_only = off", "ALTER DATABASE "+c.Name+" RESET default_transaction_read_only")
	if err := write(); err != nil {
		t.Errorf("after the correction: %v", err)
	}
}

// Errors that do not come from the server.
func TestFault(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), settings(t), "oven", prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	run := func(query string, args ...any) error {
		_, err := pool.Exec(context.Background(), query, args...)
		return err
	}
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, test := range map[string]struct {
		err  error
		want fault.Code
	}{
		"none":            {run("SELECT 1"), ""},
		"deadline":        {pool.Ping(late), fault.Unavailable},
		"canceled":        {pool.Ping(gone), fault.Unavailable},
		"nul_in_text":     {run("SELECT $1::text", "a\x00b"), fault.Invalid},
		"invalid_utf8":    {run("SELECT $1::text", "a\xffb"), fault.Invalid},
		"wrong_argument":  {run("SELECT $1::int", "three"), fault.Internal},
		"state_of_3":      {&pgconn.PgError{Code: "999"}, fault.Internal},
		"no_state":        {&pgconn.PgError{}, fault.Internal},
		"fatal":           {&pgconn.PgError{Code: "25P03", SeverityUnlocalized: "FATAL"}, fault.Unavailable},
		"not_of_postgres": {errors.New("odd"), fault.Internal},
		"already_a_fault": {fmt.Errorf("store: %w", fault.New(fault.NotFound, "none")), fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fault.CodeOf(postgres.Fault(test.err)); got != test.want {
				t.Errorf("%v is %q, want %q", test.err, got, test.want)
			}
		})
	}
}

// pgx ends a batch twice if it fails early. The batch counts as one operation and
// one error, with or without a trace.
func TestFailedBatchIsCountedOnce(t *testing.T) {
	t.Parallel()
	for name, queue := range map[string]func(*pgx.Batch){
		"does_not_parse":    func(b *pgx.Batch) { b.Queue("-- name: Bake :exec\nSELEKT") },
		"no_table":          func(b *pgx.Batch) { b.Queue("-- name: Bake :exec\nSELECT * FROM oven") },
		"argument":          func(b *pgx.Batch) { b.Queue("-- name: Bake :exec\nSELECT $1::int", "three") },
		"fails_at_run_time": func(b *pgx.Batch) { b.Queue("SELECT 1"); b.Queue("-- name: Bake :exec\nSELECT 1 / (1 - $1::int)", 1) },
		"read_in_steps":     func(b *pgx.Batch) { b.Queue("-- name: Bake :exec\nSELECT 1 / (1 - $1::int)", 1); b.Queue("SELECT 1") },
	} {
		for _, prepared := range []string{"on", "off"} {
			t.Run(name+"_prepared_"+prepared, func(t *testing.T) {
				t.Parallel()
				c, registry := settings(t), prometheus.NewRegistry()
				c.Prepared = prepared
				pool, err := postgres.Open(t.Context(), c, "oven", registry)
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				var b pgx.Batch
				queue(&b)
				results := pool.SendBatch(t.Context(), &b)
				for range b.Len() {
					_, _ = results.Exec() // Close returns the same error
				}
				if err := results.Close(); err == nil {
					t.Fatal("no error")
				}
				var failures float64
				for _, k := range []string{"unreachable", "refusing", "unusable", "timeout", "canceled", "constraint", "unkeepable", "other"} {
					failures += value(t, registry, "db_client_errors_total", map[string]string{"pool": "oven", "kind": k})
				}
				if failures != 1 {
					t.Errorf("%v errors", failures)
				}
				of := map[string]string{"pool": "oven", "operation": "Bake"}
				if n := value(t, registry, "db_client_operation_duration_seconds", of); n != 1 {
					t.Errorf("%v observations", n)
				}
			})
		}
	}
}
