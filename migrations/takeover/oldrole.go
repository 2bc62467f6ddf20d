package takeover

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// ours are the roles of `migrate roles`.
func ours() []string {
	return []string{"pizza_owner", "migrator", "login_svc", "menu_svc", "order_svc"}
}

// oldRole examines the role of the old system: whether it is the one, and gone.
func (p *preflight) oldRole(name string) {
	stop := func(found, remedy string) {
		p.add(Finding{Level: Stop, Check: "old-role", Object: name, Found: found, Remedy: remedy})
	}
	const nameIt = "name the role that the old system connects as"
	if slices.Contains(ours(), name) {
		stop("this is a role of the services", nameIt)
		return
	}
	type role struct{ Superuser, Login bool }
	roles := query[role](p, "SELECT rolsuper, rolcanlogin FROM pg_roles WHERE rolname = $1", name)
	switch {
	case p.err != nil:
		return
	case len(roles) == 0:
		stop("there is no such role", nameIt)
		return
	case roles[0].Superuser:
		stop("a superuser: no right can be taken from it", "ALTER ROLE "+ident(name)+" NOSUPERUSER; or "+nameIt)
	default:
		p.rightsOfOthers(name)
	}
	if roles[0].Login {
		p.add(Finding{
			Level: Warn, Check: "old-role", Object: name,
			Found:  "it may still log in, and loses its rights on the tables only",
			Remedy: "ALTER ROLE " + ident(name) + " NOLOGIN",
		})
	}
	p.sessions(name)
}

// rightsOfOthers looks for rights on the tables that the role has by another one: they
// would stay.
func (p *preflight) rightsOfOthers(name string) {
	var other string
	p.read(`SELECT DISTINCT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
		FROM pg_class, aclexplode(relacl)
		WHERE relnamespace = 'public'::regnamespace AND pg_get_userbyid(relowner) = 'pizza_owner'
			AND (grantee = 0 OR pg_get_userbyid(grantee) <> $1 AND pg_has_role($1, grantee, 'MEMBER'))
		ORDER BY 1`, []any{name}, []any{&other}, func() error {
		remedy := "REVOKE " + other + " FROM " + ident(name)
		if other == "PUBLIC" {
			remedy = "run `migrate up`, which takes them from PUBLIC"
		}
		p.add(Finding{
			Level: Stop, Check: "old-role", Object: name,
			Found: "it would keep the rights of " + other + " on the tables", Remedy: remedy,
		})
		return nil
	})
}

// sessions looks for connections of the old system. Their number is visible to every
// role, and where they come from to those that may read statistics.
func (p *preflight) sessions(name string) {
	var sees bool
	once := func() error { return nil }
	p.read("SELECT pg_has_role(session_user, 'pg_read_all_stats', 'MEMBER')", nil, []any{&sees}, once)
	if sees && p.err == nil {
		if _, p.err = p.conn.Exec(p.ctx, "SET ROLE pg_read_all_stats"); p.err != nil {
			return
		}
		defer func() {
			if _, err := p.conn.Exec(p.ctx, "RESET ROLE"); p.err == nil {
				p.err = err
			}
		}()
	}
	var n int64
	var from string
	p.read(`SELECT count(*), coalesce(string_agg(DISTINCT coalesce(host(client_addr), 'the server itself'), ', '), '')
		FROM pg_stat_activity WHERE usename = $1 AND datname = current_database() AND pid <> pg_backend_pid()`,
		[]any{name}, []any{&n, &from}, once)
	if n == 0 || p.err != nil {
		return
	}
	if !sees {
		from = "addresses that only a role with pg_read_all_stats sees"
	}
	p.add(Finding{
		Level: Stop, Check: "sessions", Object: name, Found: fmt.Sprintf("%d sessions, from %s", n, from),
		Remedy: "stop the old system, and what else connects as its role; idle sessions of a pooler count too",
	})
}

// freshParity is how old a report of parity may be.
const freshParity = 24 * time.Hour

// parity reads the report of the command parity.
func (p *preflight) parity(o ContractOptions) {
	if o.Begun {
		p.add(Finding{
			Level: Note, Check: "parity", Object: o.Parity,
			Found: "not read: the contract has begun, and the old system has no rights to be compared with",
		})
		return
	}
	if found := parityProblem(o.Parity, p.report.At); found != "" {
		p.add(Finding{
			Level: Stop, Check: "parity", Object: o.Parity, Found: found,
			Remedy: "run `parity --json` again, after a look at the differences",
		})
	}
}

// parityProblem says why a report proves nothing now.
func parityProblem(file string, now time.Time) string {
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return "it cannot be read: " + err.Error()
	}
	var r struct {
		At     time.Time `json:"at"`
		Parity bool      `json:"parity"`
		Totals struct {
			Same      int `json:"same"`
			Intended  int `json:"intended"`
			Different int `json:"different"`
			Failed    int `json:"failed"`
		} `json:"totals"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return "it is no report of `parity --json`: " + err.Error()
	}
	const clockSkew = time.Minute
	switch age := now.Sub(r.At); {
	case r.At.IsZero():
		return "it is no report of `parity --json`: it has no time"
	case age < -clockSkew:
		return fmt.Sprintf("it is from the future: %s", r.At.UTC().Format(time.DateTime+" UTC"))
	case age > freshParity:
		return fmt.Sprintf("it is %s old, more than a day", age.Round(time.Minute))
	case r.Totals.Same+r.Totals.Intended == 0:
		return "no request was compared"
	case !r.Parity || r.Totals.Different > 0 || r.Totals.Failed > 0:
		return fmt.Sprintf("no parity: %d requests differ, and %d were not compared", r.Totals.Different, r.Totals.Failed)
	}
	return ""
}
