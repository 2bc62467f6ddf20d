package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/migrations/takeover"
	"example.com/pizza/pkg/pgurl"
)

func TestPreflight(t *testing.T) {
	t.Parallel()
	old := migrationstest.NewOldSystem(t, migrationstest.IntegerIDs()...)
	monolith := program{"DATABASE_URL": old.Monolith}
	text := monolith.mustRun(t, []string{"preflight"}, "TABLE", "order_detail", "order/00003_number_lines",
		"all, for an instant", "nothing, for about 1s", "examining the tables",
		"note  orders.order_id: integer-order-id", "go: next is `migrate roles`")
	for _, line := range strings.Split(text, "\n") {
		if len(line) > width {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}
	conn, err := pgurl.Connect(t.Context(), old.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "ALTER TABLE orders ADD FOREIGN KEY (member_id) REFERENCES member ON DELETE CASCADE"); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := monolith.run(t, "preflight", "--json")
	if exitStatus(err) != 3 {
		t.Errorf("exit status %d: %v", exitStatus(err), err)
	}
	var report struct {
		Go bool
		takeover.Report
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Go || len(report.Tables) != 6 || len(report.Plan) == 0 || report.Findings[0].Level != takeover.Stop ||
		report.Findings[0].Remedy != "ALTER TABLE orders DROP CONSTRAINT orders_member_id_fkey" {
		t.Errorf("%s", stdout)
	}
	// Neither roles nor migrations begin. The remedy lets them.
	p := migrationstest.Passwords()
	admin := program{
		"DATABASE_URL":         old.DSN,
		"MIGRATOR_DB_PASSWORD": p.Migrator, "LOGIN_DB_PASSWORD": p.Login, "MENU_DB_PASSWORD": p.Menu, "ORDER_DB_PASSWORD": p.Order,
	}
	_, _, err = admin.run(t, "roles")
	if err == nil || errors.Is(err, errNoGo) || !strings.Contains(err.Error(), "orders.member_id: deleting a member") {
		t.Errorf("roles: %v", err)
	}
	if _, err := conn.Exec(t.Context(), report.Findings[0].Remedy); err != nil {
		t.Fatal(err)
	}
	admin.mustRun(t, []string{"roles"})
	admin.mustRun(t, []string{"up"}, "order_key")
	admin.mustRun(t, []string{"preflight"}, "the migrations have begun here")
}

func TestPreflightOfANewDatabase(t *testing.T) {
	t.Parallel()
	admin, _ := database(t)
	admin.mustRun(t, []string{"preflight"}, "has no table of the old system")
}
