package migrations

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/jackc/pgx/v5"

	"example.com/pizza/pkg/password"
)

// passwordBatch is the number of rows replaced per statement: about a second of
// hashing, the most that an interrupted run loses.
const passwordBatch = 100

// errPasswordsBusy prevents two runs from hashing the same passwords.
var errPasswordsBusy = errors.New("another `migrate passwords` is running on this database")

// PasswordHashing configures how cleartext passwords are hashed.
type PasswordHashing struct {
	Cost     password.Cost
	Hashes   int       // concurrent; each needs the memory of one hash
	DryRun   bool      // only count
	Progress io.Writer // a bar on a terminal, otherwise lines
}

// PasswordReport describes what a run did and what is stored afterwards.
type PasswordReport struct {
	DryRun  bool `json:"dry_run"`
	Members int  `json:"members"`
	// Hashed counts cleartext passwords that are now Argon2id hashes.
	Hashed int `json:"hashed"`
	// Skipped counts rows that someone else had changed or locked, such as a
	// login that hashed the same password. Stored has their current state.
	Skipped int `json:"skipped"`
	// Stored counts all members by kind of stored password, including members
	// added since.
	Stored map[password.Kind]int `json:"stored"`
}

// HashPasswords replaces every cleartext password with an Argon2id hash, as a
// login of its member would. Only clear text can be hashed: the password of a
// hash is unknown. Django's hashes stay, still verify, and are replaced when
// their members log in. They are not wrapped in another hash, because two salts
// and costs would not fit the column. Argon2id hashes of a lower cost and
// unreadable hashes stay as well. All are counted.
//
// Members may log in meanwhile. A row is replaced only if it still holds the
// text that was hashed; a locked row is left for another run. Each batch is
// committed separately, so the next run continues where an interrupted one
// stopped. The report covers the work done even if an error is returned. dsn
// names the role migrator, or a superuser.
func HashPasswords(ctx context.Context, dsn string, h PasswordHashing) (report PasswordReport, err error) {
	conn, err := connect(ctx, dsn)
	if err != nil {
		return PasswordReport{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	report.DryRun = h.DryRun
	if err := report.count(ctx, conn, h.Cost); err != nil || h.DryRun {
		return report, explain(err)
	}
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", passwordsLock).Scan(&mine); err != nil {
		return report, err
	}
	if !mine {
		return report, errPasswordsBusy
	}
	if err := report.hashAll(ctx, conn, h); err != nil {
		return report, fmt.Errorf("hash the passwords: %w", explain(err))
	}
	return report, report.count(ctx, conn, h.Cost)
}

// count counts the stored passwords by kind.
func (r *PasswordReport) count(ctx context.Context, conn *pgx.Conn, c password.Cost) error {
	r.Members, r.Stored = 0, map[password.Kind]int{}
	for _, kind := range password.Kinds() {
		r.Stored[kind] = 0
	}
	rows, err := conn.Query(ctx, "SELECT member_pwd FROM member")
	if err != nil {
		return err
	}
	var stored string
	_, err = pgx.ForEachRow(rows, []any{&stored}, func() error {
		r.Members++
		r.Stored[password.KindOf(stored, c)]++
		return nil
	})
	return err
}

// secret is a member's cleartext password and its hash.
type secret struct{ memberID, clear, hash string }

func (r *PasswordReport) hashAll(ctx context.Context, conn *pgx.Conn, h PasswordHashing) error {
	p := newProgress(h.Progress, "hashing", "passwords", r.Stored[password.ClearText])
	// Paging by id visits every row once. The first page includes the empty
	// id, which nothing forbids.
	for after, above := "", ">="; ; above = ">" {
		page, last, err := clearTexts(ctx, conn, after, above)
		if err != nil {
			return err
		}
		if last == nil {
			return p.finish()
		}
		after = *last
		if len(page) == 0 {
			continue
		}
		if err := hashPage(ctx, page, h); err != nil {
			return err
		}
		replaced, err := replacePage(ctx, conn, page)
		if err != nil {
			return err
		}
		r.Hashed += replaced
		r.Skipped += len(page) - replaced
		for range page {
			if err := p.add(); err != nil {
				return err
			}
		}
	}
}

// clearTexts returns the next cleartext passwords and the id of the last row
// examined, which is nil at the end.
func clearTexts(ctx context.Context, conn *pgx.Conn, after, above string) (page []secret, last *string, err error) {
	rows, err := conn.Query(ctx, `
		SELECT member_id, member_pwd FROM member
		WHERE member_id `+above+` $1 AND member_pwd NOT LIKE '$argon2%' AND member_pwd NOT LIKE 'pbkdf2\_sha256$%'
		ORDER BY member_id LIMIT $2`, after, passwordBatch)
	if err != nil {
		return nil, nil, err
	}
	var memberID, stored string
	_, err = pgx.ForEachRow(rows, []any{&memberID, &stored}, func() error {
		id := memberID
		last = &id
		if password.KindOf(stored, password.Recommended()) == password.ClearText {
			page = append(page, secret{memberID: memberID, clear: stored})
		}
		return nil
	})
	return page, last, err
}

// hashPage hashes the passwords of a page, h.Hashes at a time.
func hashPage(ctx context.Context, page []secret, h PasswordHashing) error {
	var group sync.WaitGroup
	next := make(chan int)
	for range max(1, h.Hashes) {
		group.Go(func() {
			for i := range next {
				page[i].hash = h.Cost.Hash(page[i].clear)
			}
		})
	}
	for i := range page {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	return ctx.Err()
}

// replacePage replaces the rows that are still as they were read, and returns
// their number. It skips locked rows, because waiting could deadlock.
func replacePage(ctx context.Context, conn *pgx.Conn, page []secret) (int, error) {
	var ids, texts, hashes []string
	for _, s := range page {
		ids, texts, hashes = append(ids, s.memberID), append(texts, s.clear), append(hashes, s.hash)
	}
	tag, err := conn.Exec(ctx, `
		WITH mine AS (
			SELECT m.member_id, new.clear, new.hash
			FROM unnest($1::text[], $2::text[], $3::text[]) AS new (member_id, clear, hash)
			JOIN member m ON m.member_id = new.member_id AND m.member_pwd = new.clear
			FOR UPDATE OF m SKIP LOCKED
		)
		UPDATE member SET member_pwd = mine.hash
		FROM mine WHERE member.member_id = mine.member_id AND member.member_pwd = mine.clear
			AND set_config('pizza.sessions', 'kept', true) = 'kept' -- the password is the same`, ids, texts, hashes)
	return int(tag.RowsAffected()), err
}
