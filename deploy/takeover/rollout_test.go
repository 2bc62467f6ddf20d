package takeover_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/deploy/local/stack"
	"example.com/pizza/deploy/takeover/monolith"
	"example.com/pizza/migrations"
	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/testkit/pgserver"
)

const (
	seed       = "../../migrations/seed"
	signingKey = "the-key-that-both-sides-share-of-48-characters.."
	crowd      = 3
)

// TestRollOut plays the six steps of docs/takeover.md on the year of orders, while
// customers order on both sides. None of their requests fails, and no acknowledged order is
// lost.
func TestRollOut(t *testing.T) {
	t.Parallel()
	t.Run("design_document", func(t *testing.T) { t.Parallel(); play(t, false) })
	t.Run("integer_ids", func(t *testing.T) { t.Parallel(); play(t, true, migrationstest.IntegerIDs()...) })
}

func play(t *testing.T, isNumeric bool, replacements ...string) {
	server, err := pgserver.Start(t.Context(), pgserver.Options{Settings: pgserver.TestSettings(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	live := liveDatabase(t, server, replacements...)
	old := httptest.NewServer((&monolith.StandIn{DB: live, Secret: []byte(signingKey), NumericIDs: isNumeric}).Handler())
	t.Cleanup(old.Close)
	f := newFront(t, old.URL)
	c := &customers{front: f, client: http.Client{Timeout: time.Minute}, orders: map[string][]string{}}
	stop := c.run(t)
	c.await(t, 20)
	dsn := server.URL("pizza")

	// 1. Prepare: look, adopt, and start the services beside the old system.
	report, err := migrations.Preflight(t.Context(), dsn, func(string) {})
	if err != nil || !report.Go() {
		t.Fatalf("no go: %v, %+v", err, report.Findings)
	}
	before, err := migrations.TakeSnapshot(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	settings := startOptions(t, server)
	settings.Environ = []string{"PASSWORD_UPGRADE=off"}
	services, err := stack.Start(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := services.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	f.to(t, services.URL())
	admin, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(admin.Close)
	if _, err := migrations.FillHistory(t.Context(), dsn, migrations.Backfill{Zone: zone(t), Progress: io.Discard}); err != nil {
		t.Fatal(err)
	}
	c.await(t, 20)
	// 2. to 5. Shift the paths of login, menu and order, with a step back.
	for _, step := range []struct {
		path   string
		weight int64
	}{
		{"login", 10}, {"login", 50}, {"login", 0}, {"login", 50}, {"login", 100},
		{"menu", 10}, {"menu", 50}, {"menu", 0}, {"menu", 100},
		{"order", 10}, {"order", 50}, {"order", 0}, {"order", 10}, {"order", 50}, {"order", 100},
	} {
		f.weights[step.path].Store(step.weight)
		c.await(t, 15)
		mustGoOn(t, admin, step.path == "order" && step.weight == 50)
	}
	stop()
	mustHaveAll(t, admin, c)
	mustHaveRevenue(t, dsn, c.placed.Load())
	after, err := migrations.TakeSnapshot(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(before.Compare(after), migrations.DayDiff.Missing); i >= 0 {
		t.Errorf("reconcile: %+v", before.Compare(after)[i])
	}

	// 6. Clean up: the old system stops, and its passwords, rights and types go.
	contract := migrations.ContractOptions{
		OldRole: "monolith", Parity: mustHaveParity(t, old.URL, services.URL(), "customer-1"),
		Zone: zone(t), Progress: func(string) {},
	}
	if check := mustCheck(t, dsn, contract); check.Go() || !has(check.Findings, "sessions") {
		t.Errorf("the old system is running, and the contract says go: %+v", check.Findings)
	}
	old.Close()
	live.Close()
	hashing := migrations.PasswordHashing{Cost: password.Recommended(), Hashes: 2, Progress: io.Discard}
	hashed, err := migrations.HashPasswords(t.Context(), dsn, hashing)
	if err != nil || hashed.Hashed == 0 || hashed.Stored[password.ClearText] > 0 {
		t.Errorf("passwords: %+v, %v", hashed, err)
	}
	for _, row := range ask(t, admin, "sessions") {
		if row["usename"] == "monolith" {
			t.Errorf("sessions of the old system: %v", row)
		}
	}
	if check := mustCheck(t, dsn, contract); !check.Go() {
		t.Fatalf("no go: %+v", check.Findings)
	}
	stillAsked := f.old.Load()
	stop = c.run(t)
	c.await(t, 10)
	if err := migrations.ApplyContract(t.Context(), dsn, contract); err != nil {
		t.Fatal(err)
	}
	c.await(t, 20)
	stop()
	if n := f.old.Load() - stillAsked; n > 0 {
		t.Errorf("the old system still gets %d requests", n)
	}
	mustHaveAll(t, admin, c)
	mustHaveRevenue(t, dsn, c.placed.Load())
}

// startOptions returns how to start the services on the server, with the old system's
// signing key.
func startOptions(t *testing.T, server *pgserver.Server) stack.Options {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "secrets.json"), fmt.Appendf(nil, `{"jwt_secret":%q}`, signingKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return stack.Options{Root: root, DataDir: folder, DatabaseURL: server.URL("postgres"), Progress: t.Output()}
}

func zone(t *testing.T) *time.Location {
	t.Helper()
	z, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func mustCheck(t *testing.T, dsn string, o migrations.ContractOptions) migrations.ContractReport {
	t.Helper()
	r, err := migrations.CheckContract(t.Context(), dsn, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func has(findings []takeover.Finding, check string) bool {
	return slices.ContainsFunc(findings, func(f takeover.Finding) bool { return f.Level == takeover.Stop && f.Check == check })
}
