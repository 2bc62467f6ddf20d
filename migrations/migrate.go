package migrations

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"example.com/pizza/migrations/takeover"
)

// Owner is the service that owns tables, or Events, whose tables belong to no
// service.
type Owner string

// The owners, in the order in which their migrations are applied: order lines
// reference pizzas.
const (
	Events Owner = "events"
	Login  Owner = "login"
	Menu   Owner = "menu"
	Order  Owner = "order"
)

// Contract has the migrations that end the takeover. Only ApplyContract applies them.
const Contract Owner = "contract"

// Owners returns all owners in the order that Up uses; Down uses the reverse.
func Owners() []Owner { return []Owner{Events, Login, Menu, Order} }

// table returns the name of the owner's goose version table.
func (o Owner) table() string { return "schema_version_" + string(o) }

// lockID returns the owner's advisory lock. The default of goose is one number
// for all its users on a database. The hexadecimal digits spell "pizza".
func (o Owner) lockID() int64 {
	return 0x70697a7a61_00 + map[Owner]int64{Login: 1, Menu: 2, Order: 3, Events: 4, Contract: 5}[o]
}

// Advisory locks of the other steps.
const (
	grantsLock    int64 = 0x70697a7a61_10
	seedLock      int64 = 0x70697a7a61_11
	passwordsLock int64 = 0x70697a7a61_12
	backfillLock  int64 = 0x70697a7a61_13
)

// lockTimeout bounds the wait for a table lock: while ALTER TABLE waits, all
// later queries on the table queue behind it. A wait that was too long is repeated
// after a pause, lockTries times, in which the others get their turn.
const (
	lockTimeout = "1s"
	lockTries   = 30
	lockPause   = time.Second
)

// Migration is a file of sql/, or a migration applied by a newer program.
type Migration struct {
	Owner   Owner `json:"owner"`
	Version int64 `json:"version"`
	// Name is empty for a migration that this program does not know.
	Name string `json:"name"`
	// AppliedAt is nil for a migration that is pending.
	AppliedAt *time.Time `json:"applied_at"`
}

// Unknown reports whether a newer program has applied m.
func (m Migration) Unknown() bool { return m.Name == "" }

// Step is a migration that was applied or rolled back.
type Step struct {
	Owner   Owner
	Version int64
	Name    string
	Took    time.Duration
}

// Up applies the pending migrations and then the grants. It waits for
// concurrent runs until ctx ends. dsn names the role migrator, or a superuser.
// Each done is called after every migration applied, before the next one begins.
//
// Tables of the old system that the migrations cannot take over are refused before
// the first one (takeover.Check). A failed migration is rolled back, earlier ones
// stay, and the next Up resumes with it.
func Up(ctx context.Context, dsn string, done ...func(Step)) error {
	c, err := config(ctx, dsn)
	if err != nil {
		return err
	}
	if err := checkTakeover(ctx, c); err != nil {
		return err
	}
	return withOwners(ctx, dsn, Owners(), func(providers []provider, _ *sql.DB) error {
		for _, p := range providers {
			if err := p.up(ctx, done); err != nil {
				return explain(err)
			}
		}
		return grant(ctx, dsn, providers)
	})
}

// up applies the owner's pending migrations, one at a time.
func (p provider) up(ctx context.Context, done []func(Step)) error {
	for try := 1; ; {
		result, err := p.UpByOne(ctx)
		var partial *goose.PartialError
		switch {
		case errors.Is(err, goose.ErrNoNextVersion):
			return nil
		case err == nil:
			p.report(result, done)
			try = 1
			continue
		case errors.As(err, &partial):
			err = fmt.Errorf("sql/%s/%s: %w", p.owner, path.Base(partial.Failed.Source.Path), partial.Err)
		}
		if sqlstate(err) != lockNotAvailable || try == lockTries {
			return err
		}
		warn(ctx, fmt.Sprintf("%v; trying again (%d of %d)", err, try, lockTries))
		if err := pause(ctx, lockPause); err != nil {
			return err
		}
		try++
	}
}

// checkTakeover refuses, before anything is changed, what the migrations could not
// finish.
func checkTakeover(ctx context.Context, c *pgx.ConnConfig) error {
	conn, err := dial(ctx, c)
	if err != nil {
		return explain(err)
	}
	return errors.Join(takeover.Check(ctx, conn), conn.Close(context.WithoutCancel(ctx)))
}

// ErrNothingToUndo is returned by Down when no migration is applied.
var ErrNothingToUndo = errors.New("no migration is applied")

// ErrNewerSchema is returned by Down when a newer program has applied
// migrations that this one has no file for.
var ErrNewerSchema = errors.New("the schema is newer than this program")

// ErrContracted is returned by Down once ApplyContract has begun.
var ErrContracted = errors.New("`migrate contract` has been here, and nothing takes it back: the old system cannot " +
	"use these tables any more. To go back, restore a backup from before it")

// Down rolls back the newest migration of the owner or, if owner is empty, of
// the last owner that has any. The migration's additions are lost, including
// data. The tables of the old system are dropped only when they are empty.
func Down(ctx context.Context, dsn string, owner Owner, done ...func(Step)) error {
	return withOwners(ctx, dsn, append(Owners(), Contract), func(providers []provider, db *sql.DB) error {
		providers, contract := providers[:len(Owners())], providers[len(Owners())]
		if begun, err := contract.versioned(ctx, db); err != nil {
			return err
		} else if begun {
			return ErrContracted
		}
		for i := len(providers) - 1; i >= 0; i-- {
			p := providers[i]
			if owner != "" && p.owner != owner {
				continue
			}
			list, err := p.status(ctx, db)
			if err != nil {
				return fmt.Errorf("%s: %w", p.owner, err)
			}
			if slices.ContainsFunc(list, Migration.Unknown) {
				return fmt.Errorf("%s: %w; use the newer program to roll back", p.owner, ErrNewerSchema)
			}
			result, err := p.Down(ctx)
			if errors.Is(err, goose.ErrNoNextVersion) {
				continue
			}
			if err != nil {
				return explain(fmt.Errorf("%s: %w", p.owner, err))
			}
			p.report(result, done)
			return nil
		}
		return ErrNothingToUndo
	})
}

// Status lists all migrations by owner and version, including those applied by
// a newer program, and when each was applied. It changes nothing. The contract's are
// listed once it has begun.
func Status(ctx context.Context, dsn string) ([]Migration, error) {
	var list []Migration
	err := withOwners(ctx, dsn, append(Owners(), Contract), func(providers []provider, db *sql.DB) error {
		for _, p := range providers {
			if p.owner == Contract {
				if begun, err := p.versioned(ctx, db); err != nil || !begun {
					return err
				}
			}
			ms, err := p.status(ctx, db)
			if err != nil {
				return fmt.Errorf("%s: %w", p.owner, err)
			}
			list = append(list, ms...)
		}
		return nil
	})
	return list, err
}

// provider is the goose provider of one owner.
type provider struct {
	*goose.Provider
	owner Owner
}

// withOwners calls do with one provider per owner, on one database handle.
func withOwners(ctx context.Context, dsn string, owners []Owner, do func([]provider, *sql.DB) error) (err error) {
	c, err := config(ctx, dsn)
	if err != nil {
		return err
	}
	c.RuntimeParams["lock_timeout"] = lockTimeout
	conn, err := dial(ctx, c)
	if err != nil {
		return explain(err)
	}
	if err := conn.Close(ctx); err != nil {
		return err
	}
	db := stdlib.OpenDB(*c)
	defer func() {
		if err != nil && ctx.Err() != nil { // the cause says more than the error it led to
			err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		err = errors.Join(err, db.Close())
	}()
	if err := db.PingContext(ctx); err != nil {
		return explain(err)
	}
	var providers []provider
	for _, o := range owners {
		p, err := newProvider(db, o)
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
		providers = append(providers, p)
	}
	return do(providers, db)
}

func newProvider(db *sql.DB, o Owner) (provider, error) {
	dir, err := fs.Sub(files, "sql/"+string(o))
	if err != nil {
		return provider{}, err
	}
	store, err := database.NewStore(database.DialectPostgres, o.table())
	if err != nil {
		return provider{}, err
	}
	// Retry every second until ctx ends. goose polls: CREATE INDEX
	// CONCURRENTLY would wait for a session that waits in the server.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(o.lockID()), lock.WithLockTimeout(1, math.MaxInt64))
	if err != nil {
		return provider{}, err
	}
	p, err := goose.NewProvider("", db, dir, goose.WithStore(store), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	return provider{p, o}, err
}

func (p provider) report(r *goose.MigrationResult, done []func(Step)) {
	for _, f := range done {
		f(Step{Owner: p.owner, Version: r.Source.Version, Name: nameOf(r.Source.Path), Took: r.Duration})
	}
}

// nameOf returns "number_lines" for "00003_number_lines.sql".
func nameOf(file string) string {
	_, name, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
	return name
}

func (p provider) status(ctx context.Context, db *sql.DB) ([]Migration, error) {
	applied := map[int64]time.Time{}
	// goose would create the table in order to read it.
	exists, err := p.versioned(ctx, db)
	if err != nil {
		return nil, err
	}
	if exists {
		// goose's own status omits versions that it has no file for.
		rows, err := db.QueryContext(ctx,
			"SELECT version_id, max(tstamp) FROM "+p.owner.table()+" WHERE is_applied AND version_id > 0 GROUP BY version_id") //nolint:gosec // a constant of ours
		if err != nil {
			return nil, explain(err)
		}
		defer func() { _ = rows.Close() }() // rows.Err reports the error
		for rows.Next() {
			var version int64
			var at time.Time
			if err := rows.Scan(&version, &at); err != nil {
				return nil, err
			}
			applied[version] = at
		}
		if err := rows.Err(); err != nil {
			return nil, explain(err)
		}
	}
	var list []Migration
	for _, s := range p.ListSources() {
		m := Migration{Owner: p.owner, Version: s.Version, Name: nameOf(s.Path)}
		if at, ok := applied[s.Version]; ok {
			m.AppliedAt = &at
			delete(applied, s.Version)
		}
		list = append(list, m)
	}
	for version, at := range applied {
		list = append(list, Migration{Owner: p.owner, Version: version, AppliedAt: &at})
	}
	slices.SortFunc(list, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return list, nil
}

func (p provider) versioned(ctx context.Context, db *sql.DB) (exists bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT to_regclass($1) IS NOT NULL", "public."+p.owner.table()).Scan(&exists)
	return exists, explain(err)
}
