package migrationstest

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/takeover"
)

// Monolith is the role of the old system.
const Monolith = "monolith"

// ContractOptions are those of a database of NewOldSystem, with parity now.
func ContractOptions(tb testing.TB) migrations.ContractOptions {
	tb.Helper()
	report := map[string]any{"at": time.Now(), "parity": true, "totals": map[string]int{"same": 1}}
	text, err := json.Marshal(report)
	if err != nil {
		tb.Fatal(err)
	}
	file := filepath.Join(tb.TempDir(), "parity.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	zone, err := time.LoadLocation("Asia/Seoul")
	if err != nil {
		tb.Fatal(err)
	}
	return migrations.ContractOptions{OldRole: Monolith, Parity: file, Zone: zone, Progress: func(string) {}}
}

// Prepare does what the check of the contract says, until it finds nothing. Orders whose
// moment nobody knows get one. It returns the number of remedies.
func (d *Database) Prepare(tb testing.TB, o migrations.ContractOptions) (remedies int) {
	tb.Helper()
	for range 10 {
		r, err := migrations.CheckContract(tb.Context(), d.URL("migrator"), o)
		if err != nil {
			tb.Fatal(err)
		}
		if r.Go() {
			return remedies
		}
		for _, f := range r.Findings {
			if f.Level == takeover.Stop {
				remedies++
				d.remedy(tb, o, f)
			}
		}
	}
	tb.Fatal("the remedies do not help")
	return 0
}

func (d *Database) remedy(tb testing.TB, o migrations.ContractOptions, f takeover.Finding) {
	tb.Helper()
	switch {
	case f.Remedy == "migrate backfill --yes":
		b := migrations.Backfill{Zone: o.Zone, Progress: io.Discard}
		_, err := migrations.FillHistory(tb.Context(), d.URL("migrator"), b)
		// The one before may still be ending; there is another round.
		if err != nil && !strings.Contains(err.Error(), "another `migrate backfill` is running") {
			tb.Fatal(err)
		}
	case f.Check == "sessions": // one that has just ended
		time.Sleep(50 * time.Millisecond)
	case f.Check == "history":
		run(tb, d.dsn, "UPDATE orders SET created_at = '2025-08-02 09:00+09' WHERE created_at IS NULL")
	case strings.Contains(f.Remedy, "UPDATE "):
		run(tb, d.dsn, f.Remedy[strings.LastIndex(f.Remedy, "UPDATE "):])
	default:
		tb.Fatalf("%+v", f)
	}
}

// Contract prepares and applies the contract.
func (d *Database) Contract(tb testing.TB) {
	tb.Helper()
	o := ContractOptions(tb)
	d.Prepare(tb, o)
	if err := migrations.ApplyContract(tb.Context(), d.URL("migrator"), o); err != nil {
		tb.Fatal(err)
	}
}
