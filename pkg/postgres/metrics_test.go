package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"example.com/pizza/pkg/postgres"
)

// value returns a metric of the pool with exactly these labels; for a histogram, the
// number of observations; -1 if there is none.
func value(t *testing.T, registry *prometheus.Registry, name string, labels map[string]string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			got := map[string]string{}
			for _, l := range m.Label {
				got[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && cmp.Equal(got, labels) {
				return read(m)
			}
		}
	}
	return -1
}

func read(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	default:
		return m.Gauge.GetValue()
	}
}

// A pool reports its connections, the callers that wait for one, the duration of
// each statement, and errors.
func TestMetrics(t *testing.T) {
	t.Parallel()
	c := settings(t)
	registry := prometheus.NewRegistry()
	pool, err := postgres.Open(t.Context(), c, "oven", registry)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	expect := func(name string, want float64, labels ...string) {
		t.Helper()
		of := map[string]string{"pool": "oven"}
		for i := 0; i < len(labels); i += 2 {
			of[labels[i]] = labels[i+1]
		}
		if got := value(t, registry, name, of); got != want {
			t.Errorf("%s%v is %v, want %v", name, of, got, want)
		}
	}
	expect("db_client_connections_max", 2)

	var all []interface{ Release() }
	for range c.MaxConns {
		conn, err := pool.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
	}
	expect("db_client_connections", 2, "state", "used")
	ctx, giveUp := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { gone <- pool.Ping(ctx) }()
	for value(t, registry, "db_client_connection_pending_requests", map[string]string{"pool": "oven"}) != 1 {
		time.Sleep(time.Millisecond)
	}
	giveUp()
	if err := <-gone; err == nil {
		t.Error("three connections of two")
	}
	expect("db_client_connection_pending_requests", 0)
	expect("db_client_connection_wait_seconds", 3)
	expect("db_client_errors_total", 1, "kind", "canceled")
	for _, conn := range all {
		conn.Release()
	}
	expect("db_client_connections", 0, "state", "used")
	expect("db_client_connections", 2, "state", "idle")

	for _, sql := range []string{
		"-- name: Bake :exec\nSELECT 1", "-- name: Bake :exec\nSELECT 1", "CREATE TEMP TABLE dough (id int PRIMARY KEY)",
		"SELECT pg_sleep(5)", "SELECT 1 / 0",
	} {
		_, _ = pool.Exec(t.Context(), sql) // errors are counted
	}
	if _, err := pool.Exec(t.Context(), "DO $$ BEGIN RAISE unique_violation; END $$"); err == nil {
		t.Error("no error was raised")
	}
	if _, err := pool.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())"); err == nil {
		t.Error("the connection was not ended")
	}
	expect("db_client_operation_duration_seconds", 2, "operation", "Bake")
	expect("db_client_operation_duration_seconds", 3, "operation", "SELECT")
	expect("db_client_operation_duration_seconds", 1, "operation", "CREATE")
	for kind, want := range map[string]float64{"timeout": 1, "constraint": 1, "refusing": 1, "other": 1, "unreachable": 0} {
		expect("db_client_errors_total", want, "kind", kind)
	}

	c.Port, c.SSLMode = 1, "disable"
	nowhere, err := postgres.Open(t.Context(), c, "nowhere", registry)
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	if err := nowhere.Ping(t.Context()); err == nil {
		t.Error("there is a database at port 1")
	}
	if got := value(t, registry, "db_client_errors_total", map[string]string{"pool": "nowhere", "kind": "unreachable"}); got != 1 {
		t.Errorf("%v connections failed", got)
	}
}
