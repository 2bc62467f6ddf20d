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

// passwordBatch is how many rows are replaced in one statement: about a second of
// hashing, which is what an interrupted run loses at most.
const passwordBatch = 100

// errPasswordsBusy keeps two runs from hashing the same passwords twice.
var errPasswordsBusy = errors.New("another `migrate passwords` is at work on this database")

// PasswordHashing says how the passwords in clear text are hashed.
type PasswordHashing struct {
	Cost     password.Cost
	Hashes   int       // at once; each takes the memory of one hash
	DryRun   bool      // only look
	Progress io.Writer // of the hashing; a bar where it is a terminal
}

// PasswordReport says what was done, and what is stored afterwards.
type PasswordReport struct {
	DryRun  bool `json:"dry_run"`
	Members int  `json:"members"`
	// Hashed were in clear text, and are an Argon2id hash now.
	Hashed int `json:"hashed"`
	// Skipped were replaced or held by somebody else at that moment, such as a
	// login that hashed the same password: they are in Stored as they are now.
	Skipped int `json:"skipped"`
	// Stored counts all members by what is stored for them, also those added
	// since.
	Stored map[password.Kind]int `json:"stored"`
}

// HashPasswords replaces every password in clear text by an Argon2id hash, as a
// login of its member would. Only clear text can be: of a hash, the password is
// not known. So Django's hashes stay, verify as they are, and are replaced as
// their members log in; they are not wrapped into another hash either, since the
// two salts and costs would not fit the column. Argon2id hashes of a lower cost
// and hashes that are not read here stay as well. All are counted.
//
// Members may log in meanwhile: a row is replaced only where it still holds the
// text that was hashed, and one that somebody holds is left for another run. Each
// batch is committed by itself, so a run that was interrupted loses nothing, and
// the next one goes on with what is left. The report is that of the work done
// also where an error is returned. dsn names the role migrator, or a superuser.
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

// count reads what is stored.
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

// secret is the password of a member in clear text, and its hash.
type secret struct{ memberID, clear, hash string }

func (r *PasswordReport) hashAll(ctx context.Context, conn *pgx.Conn, h PasswordHashing) error {
	p := newProgress(h.Progress, "hashing", "passwords", r.Stored[password.ClearText])
	// In the order of the ids, so that every row is met once. The first page has
	// the empty id too, which nothing forbids.
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

// clearTexts returns the next passwords in clear text, and the id of the last row
// that was looked at, nil at the end.
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

// hashPage hashes so many at once.
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

// replacePage replaces what is still as it was read, and says how many rows that
// were. It waits for nobody, who might wait for it.
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
