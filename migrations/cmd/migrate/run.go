package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"example.com/pizza/migrations"
)

const help = `migrate prepares the database of the pizza services.

  migrate preflight [--json]     examine the live database of the old system, and
                                 change nothing: go or no go, with reasons
  migrate roles                  create the database and the roles, take over the old
                                 system's tables
  migrate up                     apply what is pending, then the grants
  migrate down [OWNER] --yes     take back one migration, of events, login, menu or
                                 order; without OWNER, of the last that has any
  migrate status [--json]        list the migrations
  migrate seed [--history DIR]   add the menu, branches and a demo member; with
                                 --history also the year of orders in DIR, which
                                 holds orders.csv.gz and order_details.csv.gz
  migrate passwords --yes        hash the passwords that are in clear text; after
                                 that the old system logs nobody in any more.
                                 --dry-run only counts; --json reports as JSON
  migrate backfill [--yes]       fill in what the old system's orders lack: their
                                 moment by date and time, prices by today's menu,
                                 totals. Yields to replicas and a busy server. Only
                                 counts without --yes; --json reports as JSON
  migrate reconcile --snapshot FILE
                                 write counts and checksums of all orders, by day
  migrate reconcile --compare FILE [--json]
                                 prove that all of them are still there, unchanged;
                                 additions are listed
  migrate contract --old-role NAME --parity FILE [--yes] [--json]
                                 end the takeover, with no way back: prices, dates
                                 and times get their types, what only the old
                                 system needs is dropped, and its role loses its
                                 rights. Without --yes, it says what is in the
                                 way: a session of the role, a report of
                                 "parity --json" without parity or older than a
                                 day, and what else the tables lack
  migrate forget-member ID --yes erase a person: delete the member, and detach its
                                 orders and what was announced of them; the id
                                 stays taken
  migrate licence                print the licence of the menu that "seed" adds

Every command may be run again, and does only what is left to do.

Where the database is (environment):
  DATABASE_URL                   postgres://user:password@host:port/database, or
  DB_HOST DB_PORT DB_NAME        its parts; DB_PORT is 5432 by default
  DB_USER DB_PASSWORD
  DB_SSLMODE DB_SSLROOTCERT      prefer, and the system's authorities, by default
That has to be the server itself: through a pooler, migrate stops at once.
Nothing else counts: neither libpq's variables (PGHOST, PGSERVICE, ...) nor its files.

"roles" connects as a superuser, or as the owner of database and tables that may
create roles (CREATEROLE) and, if there is none yet, the database (CREATEDB);
everything else as migrator; "preflight" and "reconcile" as a role that can read the
old system's tables. What another administrator may not do, "roles" lists at
its end as SQL for one who may. It gives these passwords:
  MIGRATOR_DB_PASSWORD LOGIN_DB_PASSWORD MENU_DB_PASSWORD ORDER_DB_PASSWORD
and to the role of each service, as the most connections of all its processes,
  LOGIN_CONNECTIONS MENU_CONNECTIONS ORDER_CONNECTIONS
                                 0 is no limit; without one, a role keeps the limit
                                 that it has. With these, "up" stops where a role
                                 may open fewer

"seed --history", "backfill" and "contract" read dates and times in the zone
  SHOP_TIMEZONE                  Asia/Seoul by default

"passwords" hashes at the cost and in the memory of the login service:
  PASSWORD_MEMORY_KIB            19456 by default, for each hash
  PASSWORD_PASSES                2 by default
  PASSWORD_HASHES                hashes at once; 0, the default, is one per CPU

Exit status:
  0  done
  1  failed; another try can succeed: the database was away, a lock was held, a role
     or a right was missing in the database, passwords were left in clear text, rows were left to fill
  2  wrong usage or settings, all of which are named; no other try can succeed
  3  no go: "preflight" or "contract" found what has to change first, or "reconcile"
     that orders are missing or changed
`

// usageError is an invalid command line.
type usageError struct{ message string }

func (e usageError) Error() string { return e.message + "; see migrate --help" }

// command holds what all subcommands need.
type command struct {
	environ        []string // NAME=value
	stdout, stderr io.Writer
}

// run is the program without its surroundings.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	c := command{environ, stdout, stderr}
	ctx = migrations.WithWarnings(ctx, func(text string) {
		_, _ = fmt.Fprintln(stderr, "migrate: warning:", text)
	})
	if len(args) == 0 {
		return usageError{"a command is missing"}
	}
	if slices.ContainsFunc(args, func(a string) bool { return a == "--help" || a == "-help" || a == "-h" }) || args[0] == "help" {
		_, err := io.WriteString(stdout, help)
		return err
	}
	switch name, args := args[0], args[1:]; name {
	case "preflight":
		return c.preflight(ctx, args)
	case "roles":
		return c.roles(ctx, args)
	case "up":
		return c.up(ctx, args)
	case "down":
		return c.down(ctx, args)
	case "status":
		return c.status(ctx, args)
	case "seed":
		return c.seed(ctx, args)
	case "passwords":
		return c.passwords(ctx, args)
	case "backfill":
		return c.backfill(ctx, args)
	case "reconcile":
		return c.reconcile(ctx, args)
	case "contract":
		return c.contract(ctx, args)
	case "forget-member":
		return c.forgetMember(ctx, args)
	case "licence":
		return c.licence(args)
	default:
		return usageError{fmt.Sprintf("unknown command %q", name)}
	}
}

// ownerNames returns "events, login, menu or order".
func ownerNames() string {
	var names []string
	for _, o := range migrations.Owners() {
		names = append(names, string(o))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// parse accepts flags anywhere, and returns the positional arguments.
func parse(flags *flag.FlagSet, args []string, most int) ([]string, error) {
	flags.SetOutput(io.Discard)
	var rest []string
	for {
		if err := flags.Parse(args); err != nil {
			return nil, usageError{flags.Name() + ": " + err.Error()}
		}
		args = flags.Args()
		if len(args) == 0 {
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	if len(rest) > most {
		return nil, usageError{fmt.Sprintf("%s: unexpected argument %q", flags.Name(), rest[most])}
	}
	return rest, nil
}

func (c command) licence(args []string) error {
	if _, err := parse(flag.NewFlagSet("licence", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	text, err := migrations.SeedLicence()
	if err != nil {
		return err
	}
	_, err = io.WriteString(c.stdout, text)
	return err
}

func (c command) roles(ctx context.Context, args []string) error {
	if _, err := parse(flag.NewFlagSet("roles", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	s, err := load[struct {
		Database    Database
		Passwords   Passwords
		Connections Connections
	}](c)
	if err != nil {
		return err
	}
	created, err := migrations.CreateDatabase(ctx, s.Database.dsn())
	if err != nil {
		return err
	}
	p := s.Passwords
	if err := migrations.ApplyRoles(ctx, s.Database.dsn(), migrations.Passwords{
		Migrator: string(p.Migrator), Login: string(p.Login), Menu: string(p.Menu), Order: string(p.Order),
	}); err != nil {
		return err
	}
	limits, err := migrations.LimitConnections(ctx, s.Database.dsn(), migrations.Connections(s.Connections))
	if err != nil {
		return err
	}
	out := newTable(c.stdout)
	out.row("ROLE", "CONNECTIONS", "")
	for _, l := range limits {
		most, why := fmt.Sprint(l.Most), ""
		if l.Most < 0 {
			most = "no limit"
		}
		if l.Kept {
			why = "as before: " + strings.ToUpper(strings.TrimSuffix(l.Role, "_svc")) + "_CONNECTIONS is not set"
		}
		out.row(l.Role, most, why)
	}
	if err := out.flush(); err != nil {
		return err
	}
	text := "the database was there; "
	if created {
		text = "the database was created; "
	}
	_, err = fmt.Fprintln(c.stdout, text+"the roles pizza_owner, migrator, login_svc, menu_svc and order_svc are in place")
	return err
}

func (c command) up(ctx context.Context, args []string) error {
	if _, err := parse(flag.NewFlagSet("up", flag.ContinueOnError), args, 0); err != nil {
		return err
	}
	s, err := load[struct {
		Database    Database
		Connections Connections
	}](c)
	if err != nil {
		return err
	}
	dsn := s.Database.dsn()
	if err := migrations.CheckConnections(ctx, dsn, migrations.Connections(s.Connections)); err != nil {
		return err
	}
	n := 0
	if err := migrations.Up(ctx, dsn, func(s migrations.Step) { n++; c.report("applied", s) }); err != nil {
		return err
	}
	list, err := migrations.Status(ctx, dsn)
	if err != nil {
		return err
	}
	text := "the schema was up to date; the grants are in place"
	switch {
	case slices.ContainsFunc(list, migrations.Migration.Unknown):
		text = "nothing to apply: the schema is newer than this program; the grants are left as they are"
		if n > 0 {
			text = fmt.Sprintf("applied %d migrations to a schema that is newer than this program; "+
				"the grants are left as they are", n)
		}
	case n > 0:
		text = fmt.Sprintf("the schema is up to date, after %d migrations; the grants are in place", n)
	}
	_, err = fmt.Fprintln(c.stdout, text)
	return err
}

func (c command) down(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("down", flag.ContinueOnError)
	yes := flags.Bool("yes", false, "")
	rest, err := parse(flags, args, 1)
	if err != nil {
		return err
	}
	var owner migrations.Owner
	if len(rest) == 1 {
		owner = migrations.Owner(rest[0])
		if !slices.Contains(migrations.Owners(), owner) {
			return usageError{fmt.Sprintf("down: %q is not an owner: want %s", rest[0], ownerNames())}
		}
	}
	if !*yes {
		return usageError{"down: this deletes everything that the migration added, with its data; confirm with --yes"}
	}
	dsn, err := c.dsn()
	if err != nil {
		return err
	}
	return migrations.Down(ctx, dsn, owner, func(s migrations.Step) { c.report("rolled back", s) })
}

// report prints a migration as soon as it is done. Its columns hold the longest name.
func (c command) report(what string, s migrations.Step) {
	_, _ = fmt.Fprintf(c.stdout, "%s  %-6s  %s  %-28s  %s\n", what, s.Owner, version(s.Version), s.Name, s.Took.Round(time.Millisecond))
}

func (c command) seed(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("seed", flag.ContinueOnError)
	dir := flags.String("history", "", "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	s, err := load[struct {
		Database Database
		Shop     Shop
	}](c)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(s.Shop.TimeZone)
	if err != nil {
		return err
	}
	dsn := s.Database.dsn()
	out := newTable(c.stdout)
	out.row("TABLE", "ROWS ADDED")
	err = migrations.Seed(ctx, dsn, func(a migrations.Added) { out.row(a.Table, fmt.Sprint(a.Rows)) })
	if err != nil {
		return err
	}
	if err := out.flush(); err != nil || *dir == "" {
		return err
	}
	loaded, err := migrations.SeedHistory(ctx, dsn, migrations.History{Dir: *dir, Zone: zone, Progress: c.stderr})
	if err != nil {
		return fmt.Errorf("load the history (nothing was loaded): %w", err)
	}
	text := "the orders exist already; nothing loaded"
	if loaded.Orders > 0 {
		text = fmt.Sprintf("loaded %d orders with %d lines of %d pizzas for %s, by %d new members",
			loaded.Orders, loaded.Lines, loaded.Quantity, loaded.Revenue, loaded.Members)
	}
	_, err = fmt.Fprintln(c.stdout, text)
	return err
}

// dsn returns the connection string of the database.
func (c command) dsn() (string, error) {
	s, err := load[struct{ Database Database }](c)
	return s.Database.dsn(), err
}

func version(v int64) string { return fmt.Sprintf("%05d", v) }
