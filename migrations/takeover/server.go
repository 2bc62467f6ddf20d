package takeover

import "fmt"

// oldestServer is the first major version that has what the migrations use:
// gen_random_uuid in the core.
const oldestServer = 13

func (p *preflight) server() {
	p.read(`SELECT count(*) > 0, count(*) FILTER (WHERE relname = 'schema_version_contract') > 0
		FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname LIKE 'schema\_version\_%'`,
		nil, []any{&p.begun, &p.contracted}, func() error { return nil })
	var version int
	var encoding string
	var standby bool
	p.read(`SELECT current_database(), current_setting('server_version'), current_setting('server_version_num')::int / 10000,
			current_setting('server_encoding'), pg_is_in_recovery(), now()`,
		nil, []any{&p.report.Database, &p.report.Server, &version, &encoding, &standby, &p.report.At}, func() error { return nil })
	if p.err != nil {
		return
	}
	if version < oldestServer {
		p.add(Finding{
			Level: Stop, Check: "server-version", Object: "server",
			Found:  fmt.Sprintf("PostgreSQL %s is too old", p.report.Server),
			Remedy: fmt.Sprintf("upgrade the server to %d or later", oldestServer),
		})
	}
	if encoding != "UTF8" {
		p.add(Finding{
			Level: Stop, Check: "encoding", Object: "database",
			Found:  fmt.Sprintf("the encoding is %s: names in other scripts could not be stored", encoding),
			Remedy: "dump the database, and restore it into one with ENCODING 'UTF8'",
		})
	}
	if standby {
		p.add(Finding{
			Level: Stop, Check: "standby", Object: "server",
			Found: "this is a standby, which accepts no changes", Remedy: "name the primary",
		})
	}
}

// activity reports what makes a migration wait.
func (p *preflight) activity() {
	var sees bool
	p.read("SELECT pg_has_role('pg_read_all_stats', 'USAGE')", nil, []any{&sees}, func() error { return nil })
	if !sees && p.err == nil {
		p.add(Finding{
			Level: Note, Check: "not-examined", Object: "server",
			Found:  "this role sees its own transactions only: a long one of another role could not be found",
			Remedy: "run preflight as a superuser, or as a role with GRANT pg_read_all_stats",
		})
	}
	var pid int32
	var who string
	var age int64
	p.read(`SELECT pid, coalesce(nullif(application_name, ''), usename, ''), extract(epoch FROM now() - xact_start)::bigint
		FROM pg_stat_activity
		WHERE datname = current_database() AND xact_start < now() - interval '10 s' AND pid <> pg_backend_pid() ORDER BY xact_start`,
		nil, []any{&pid, &who, &age}, func() error {
			p.add(Finding{
				Level: Warn, Check: "long-transaction", Object: fmt.Sprintf("process %d", pid),
				Found:  fmt.Sprintf("a transaction of %s has been open for %d s: the migrations that build an index wait for its end", who, age),
				Remedy: fmt.Sprintf("let it end, or SELECT pg_terminate_backend(%d)", pid),
			})
			return nil
		})
	var gid string
	p.read("SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared", nil, []any{&gid}, func() error {
		p.add(Finding{
			Level: Warn, Check: "prepared-transaction", Object: "server",
			Found:  fmt.Sprintf("the transaction %q is prepared: the migrations that build an index wait for its end", gid),
			Remedy: fmt.Sprintf("COMMIT PREPARED or ROLLBACK PREPARED '%s'", gid),
		})
		return nil
	})
	var used, most int
	p.read(`SELECT count(*), current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		FROM pg_stat_activity WHERE datid IS NOT NULL`, // all clients: other roles see no backend_type
		nil, []any{&used, &most}, func() error {
			if left := most - used; left < 30 {
				p.add(Finding{
					Level: Warn, Check: "connections", Object: "server",
					Found:  fmt.Sprintf("%d of %d connections are in use; a replica of each service takes about 30 together", used, most),
					Remedy: "raise max_connections, or put PgBouncer before the services",
				})
			}
			return nil
		})
}
