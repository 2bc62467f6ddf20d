// Package guide writes the text that `make run` shows when the stack is up: the
// addresses, the demo login, and commands for the whole flow.
package guide

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Service holds the direct addresses of one service, without the gateway.
type Service struct{ Name, Public, Internal, Metrics string }

// Info is the data for the guide.
type Info struct {
	URL       string // the gateway
	Services  []Service
	Database  string // address of the database, as its superuser
	Secrets   string // file of the secrets, such as the operators' token
	DemoID    string
	DemoPW    string
	Branch    string // id of a branch to order at
	TookToRun string
	Bold      bool // headings in bold, for a terminal
}

// Write writes the guide.
func Write(w io.Writer, i Info) error {
	heading := func(s string) string {
		if i.Bold {
			return "\x1b[1m" + s + "\x1b[0m"
		}
		return s
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n", heading("The pizza stack is up after "+i.TookToRun+"."))
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, "  "+strings.Join(cells, "\t")) }
	row("API", i.URL+"/api", "also without /api")
	row("API page", i.URL+"/docs", "try every call in the browser")
	for _, s := range i.Services {
		row(s.Name, "http://"+s.Public, "internal http://"+s.Internal+"/int, metrics http://"+s.Metrics+"/metrics")
	}
	row("database", `psql "`+i.Database+`"`)
	row("demo member", i.DemoID, "password "+i.DemoPW)
	row("admin token", "in "+i.Secrets, "for /log-level and /int/auth/revoke")
	row("rate limits", "10000/s, to try things", "production has its own")
	row("watch it", "make observe", "dashboards, alerts and traces")
	if err := table.Flush(); err != nil {
		return fmt.Errorf("table of addresses: %w", err)
	}
	fmt.Fprintf(&b, "\n%s\n\n%s\n", heading("The whole flow, to paste into another terminal:"), strings.Join(Commands(i), "\n"))
	fmt.Fprintf(&b, "\n%s\n\n", heading("Ctrl-C stops everything. What the services log:"))
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("guide: %w", err)
	}
	return nil
}

// Commands returns commands for the whole flow, for any POSIX shell with curl
// and sed. They show both accepted formats, forms and JSON. When pasted a second
// time, only the registration fails, because the id is taken. There are no
// comments between them, because an interactive zsh would run those.
func Commands(i Info) []string {
	const curl = `curl -sS -w '\n' "$API`
	return []string{
		"API=" + i.URL + "/api",
		curl + `/login/register/" -d id=kim -d pw=kims-secret --data-urlencode 'name=Kim Minji'`,
		`TOKEN=$(curl -sS "$API/login/" -d id=kim -d pw=kims-secret | sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p')`,
		curl + `/menu/?q=barbecue"`,
		curl + `/menu/get_pizza_id/" -d 'pizza_nm=The Barbecue Chicken Pizza' -d size=L`,
		curl + `/order/branch/"`,
		curl + `/order/" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \`,
		`  -d '{"branchId":"` + i.Branch + `","lines":[{"name":"The Barbecue Chicken Pizza","size":"L","quantity":2}]}'`,
		curl + `/order/" -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \`,
		`  -d '{"bran_id":"` + i.Branch + `","items":[{"pizza_id":"hawaiian_s","quantity":1},{"pizza_id":"veggie_veg_m","quantity":3}]}'`,
		curl + `/order/myorder/" -H "Authorization: Bearer $TOKEN"`,
		curl + `/login/logout/" -H "Authorization: Bearer $TOKEN"`,
		curl + `/order/myorder/" -H "Authorization: Bearer $TOKEN"`,
	}
}
