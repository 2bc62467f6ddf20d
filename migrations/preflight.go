package migrations

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/migrations/takeover"
)

// Preflight examines a live database, and changes nothing. dsn names a role that can
// read the tables of the old system. Its plan has the locks of the pending migrations
// on these tables. progress is called before each part.
func Preflight(ctx context.Context, dsn string, progress func(part string)) (r takeover.Report, err error) {
	c, err := parse(ctx, dsn)
	if err != nil {
		return takeover.Report{}, err
	}
	conn, err := dial(ctx, c)
	if err != nil {
		return takeover.Report{}, explain(err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	locks, err := pendingLocks(ctx, conn)
	if err != nil {
		return takeover.Report{}, err
	}
	return takeover.Preflight(ctx, conn, takeover.Options{Locks: locks, Progress: progress})
}

// pendingLocks returns the locks of the migrations that are not applied.
// sql/locks.gen.csv has those of all, as TestLocks has seen them.
func pendingLocks(ctx context.Context, conn *pgx.Conn) ([]takeover.Lock, error) {
	text, err := files.ReadFile("sql/locks.gen.csv")
	if err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(strings.NewReader(string(text))).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("sql/locks.gen.csv: %w", err)
	}
	applied := map[string]bool{}
	for _, o := range Owners() {
		var exists bool
		if err := conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", "public."+o.table()).Scan(&exists); err != nil {
			return nil, err
		}
		if !exists {
			continue
		}
		versions, err := conn.Query(ctx, "SELECT version_id FROM "+o.table()+" WHERE is_applied")
		if err != nil {
			return nil, err
		}
		list, err := pgx.CollectRows(versions, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			applied[fmt.Sprintf("%s/%05d", o, v)] = true
		}
	}
	var locks []takeover.Lock
	for _, row := range rows[1:] {
		if number, _, _ := strings.Cut(path.Base(row[0]), "_"); !applied[path.Dir(row[0])+"/"+number] {
			locks = append(locks, takeover.Lock{Migration: row[0], Table: row[1], Mode: row[2]})
		}
	}
	return locks, nil
}
