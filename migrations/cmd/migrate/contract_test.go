package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
)

// The end of the takeover, as an operator sees it.
func TestContract(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t)
	d, err := migrationstest.On(t.Context(), old.DSN)
	if err != nil {
		t.Fatal(err)
	}
	o := migrationstest.ContractOptions(t)
	migrator := program{"DATABASE_URL": d.URL("migrator")}
	args := []string{"contract", "--old-role", migrationstest.Monolith, "--parity", o.Parity}

	stdout, stderr, err := migrator.run(t, append(args, "--yes")...)
	if exitStatus(err) != 3 {
		t.Errorf("exit status %d: %v", exitStatus(err), err)
	}
	for _, want := range []string{
		"CONDITION", "sessions    go     the old system's role has no connection",
		"history     no go  `migrate backfill` has", "date        no go  dates and times are written as 2015-01-31",
		"contract/00006_orders       orders        all, for about 1s", "stop  orders.created_at: history (1 row)",
		"-> migrate backfill --yes", "warn  monolith: old-role", "examining the rows of orders",
	} {
		if !strings.Contains(stdout+stderr, want) {
			t.Errorf("prints %q, without %q", stdout+stderr, want)
		}
	}
	for line := range strings.Lines(stdout) {
		if len([]rune(line)) > width+1 && !strings.Contains(line, "orders SET") {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}

	d.Prepare(t, o)
	migrator.mustRun(t, args, "date        go ", "go: `migrate contract` with --yes applies it")
	stdout = migrator.mustRun(t, append(args, "--yes", "--json"), "applied  contract  00006  orders ")
	var report struct {
		Go, Applied bool
		Conditions  []takeover.Condition
		takeover.Report
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if !report.Go || !report.Applied || len(report.Conditions) != 9 || len(report.Plan) != 7 {
		t.Errorf("%s", stdout)
	}
	const applied = "the contract is applied: the tables are those of the services alone\n"
	for _, again := range [][]string{args, append(args, "--yes")} {
		if got := migrator.mustRun(t, again); got != applied {
			t.Errorf("%q", got)
		}
	}
	migrator.mustRun(t, []string{"status"}, "contract  00007    statistics", ", 0 pending")
	program{"DATABASE_URL": old.DSN}.mustRun(t, []string{"preflight"}, "the contract has been here")
	_, _, err = migrator.run(t, "down", "--yes")
	if exitStatus(err) != 1 || !strings.Contains(err.Error(), "restore a backup from before it") {
		t.Errorf("down: %v", err)
	}
}

// Arguments are checked before anything else.
func TestContractArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"contract"}, {"contract", "--old-role", "monolith"}, {"contract", "--parity", "file"},
		{"contract", "--old-role", "monolith", "--parity", "file", "more"}, {"contract", "--old-roll", "monolith"},
	} {
		nowhere := program{"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
		if _, _, err := nowhere.run(t, args...); exitStatus(err) != 2 {
			t.Errorf("%v: exit status %d: %v", args, exitStatus(err), err)
		}
	}
	// A file that is not there is a condition, and no usage: it is listed with the others.
	d := migrationstest.New(t)
	stdout, _, err := program{"DATABASE_URL": d.URL("migrator")}.run(t,
		"contract", "--old-role", "none", "--parity", filepath.Join(t.TempDir(), "none"))
	if exitStatus(err) != 3 {
		t.Errorf("exit status %d: %v", exitStatus(err), err)
	}
	for _, want := range []string{"parity      no go", "old-role    no go"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("prints %q, without %q", stdout, want)
		}
	}
}
