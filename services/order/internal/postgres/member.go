package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/postgres"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres/db"
)

// as returns queries on behalf of a caller. The database lets them read and add
// rows of that member only, whatever their WHERE clause says, and no rows if the
// token was revoked. All other queries use s.queries, which see no member's rows.
func (s *Store) as(c order.Caller) *db.Queries { return db.New(member{s.pool, c}) }

// Check returns order.ErrRevoked if the caller's token was revoked, and
// Unavailable.
func (s *Store) Check(ctx context.Context, c order.Caller) error {
	m := member{s.pool, c}
	return postgres.Fault(readRevoked(s.pool.QueryRow(ctx, setMember, m.args()...)))
}

// member runs each statement behind setMember, which checks the token and sets
// the member that the row-level policies of the migrations compare with. The two
// are one batch:
//
//   - one round trip, as for the statement alone;
//   - one transaction, which PostgreSQL begins and ends by itself around what comes
//     before one Sync (PostgreSQL documentation, "Pipelining"). The setting is local
//     to it, and gone when the connection, or the server connection behind a
//     pooler, is used by somebody else, even after errors and canceled requests;
//   - one result: an error at the end of the transaction fails the statement.
type member struct {
	pool   *pgxpool.Pool
	caller order.Caller
}

// setMember looks the token up by primary key and returns whether it was
// revoked. If it was, the member stays unset: row-level security then hides and
// refuses every row, even if the result were ignored. OFFSET 0 keeps the planner
// from copying the two look-ups to both places that use their result.
const setMember = `-- name: SetMember :one
SELECT t.revoked, set_config('pizza.member', CASE WHEN t.revoked THEN '' ELSE $1::text END, true)
FROM (
    SELECT EXISTS (SELECT FROM revoked_token WHERE jti = $2::text)
        OR EXISTS (SELECT FROM revoked_member WHERE member_id = $1::text AND generation > $3::bigint) AS revoked
    OFFSET 0
) AS t`

func (m member) args() []any { return []any{m.caller.MemberID, m.caller.TokenID, m.caller.Generation} }

// readRevoked returns order.ErrRevoked if the row of setMember says so.
func readRevoked(r pgx.Row) error {
	var revoked bool
	if err := r.Scan(&revoked, nil); err != nil {
		return err
	}
	if revoked {
		return order.ErrRevoked
	}
	return nil
}

// send queues a statement behind setMember, and returns the results from the
// statement's on. The caller must close them, which ends the transaction. It
// returns order.ErrRevoked without looking at the statement's result.
func (m member) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	batch := &pgx.Batch{}
	batch.Queue(setMember, m.args()...)
	batch.Queue(sql, args...)
	results := m.pool.SendBatch(ctx, batch)
	if err := readRevoked(results.QueryRow()); err != nil {
		_ = results.Close() // repeats err, or is refused by row-level security
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
