package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/services/order/internal/postgres/db"
)

// as returns the queries of one member: the database lets each see and add that
// member's rows only, whatever its WHERE says. Everything else has s.queries,
// which see no row that belongs to a member.
func (s *Store) as(memberID string) *db.Queries { return db.New(member{s.pool, memberID}) }

// member runs each statement behind the one that sets the member, which the
// row-level policies of the migrations compare with. The two are one batch:
//
//   - one round trip, as the statement alone;
//   - one transaction, which PostgreSQL begins and ends by itself around what comes
//     before one Sync (PostgreSQL documentation, "Pipelining"). The setting is local
//     to it, and gone when the connection, or the server connection behind a
//     pooler, is given to somebody else: after errors and cut-off requests too;
//   - one result: what fails at the end of the transaction fails the statement.
type member struct {
	pool *pgxpool.Pool
	id   string
}

const setMember = "SELECT set_config('pizza.member', $1, true)"

// send queues a statement behind the member, and returns the results from the
// statement's on. They are to be closed, which ends the transaction.
func (m member) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	batch := &pgx.Batch{}
	batch.Queue(setMember, m.id)
	batch.Queue(sql, args...)
	results := m.pool.SendBatch(ctx, batch)
	if _, err := results.Exec(); err != nil {
		_ = results.Close() // repeats err
		return nil, err
	}
	return results, nil
}

// Exec implements db.DBTX.
func (m member) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	results, err := m.send(ctx, sql, args)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	tag, err := results.Exec()
	if closing := results.Close(); err == nil {
		err = closing
	}
	return tag, err
}

// Query implements db.DBTX.
func (m member) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	results, err := m.send(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	r, err := results.Query()
	if err != nil {
		_ = results.Close() // repeats err
		return nil, err
	}
	return &rows{Rows: r, results: results}, nil
}

// QueryRow implements db.DBTX.
func (m member) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	r, err := m.Query(ctx, sql, args...)
	return row{r, err}
}

// rows end the transaction with their last row.
type rows struct {
	pgx.Rows
	results pgx.BatchResults
	ending  error // of the transaction
}

// Next implements pgx.Rows.
func (r *rows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close implements pgx.Rows.
func (r *rows) Close() {
	r.Rows.Close()
	if r.results != nil {
		r.ending = r.results.Close()
		r.results = nil
	}
}

// Err implements pgx.Rows.
func (r *rows) Err() error {
	if err := r.Rows.Err(); err != nil {
		return err
	}
	return r.ending
}

// row is the first of some rows, as pgx.Row has it.
type row struct {
	rows pgx.Rows
	err  error
}

// Scan implements pgx.Row.
func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return pgx.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
