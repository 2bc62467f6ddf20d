package revocation_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/pgtest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/pkg/token/revocation"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// schema is what the package needs of the tables, which the migrations make.
const schema = `
CREATE TABLE revoked_token (jti text, member_id text, expires_at timestamptz, revoked_at timestamptz DEFAULT now());
CREATE TABLE revoked_member (member_id text, generation bigint, expires_at timestamptz, revoked_at timestamptz DEFAULT now());`

// database is where tokens are withdrawn, by hand.
type database struct{ pool *pgxpool.Pool }

func newDatabase(t *testing.T) database {
	t.Helper()
	pool, err := pgxpool.New(context.Background(), pgtest.Empty(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	d := database{pool}
	d.exec(t, schema)
	return d
}

func (d database) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := d.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// silently withdraws a token without telling anyone.
func (d database) silently(t *testing.T, id string, revokedAt time.Time) {
	t.Helper()
	d.exec(t, "INSERT INTO revoked_token VALUES ($1, 'ada', now() + interval '1 hour', $2)", id, revokedAt)
}

// goAway makes every read fail until comeBack.
func (d database) goAway(t *testing.T)   { d.exec(t, "ALTER TABLE revoked_token RENAME TO away") }
func (d database) comeBack(t *testing.T) { d.exec(t, "ALTER TABLE away RENAME TO revoked_token") }

// process is a set with its log, its numbers and its clock.
type process struct {
	*revocation.Set
	registry *prometheus.Registry
	log      *bytes.Buffer
	ahead    *atomic.Int64 // of its clock, in nanoseconds
}

func newProcess(t *testing.T, d database, c revocation.Config) process {
	t.Helper()
	p := process{registry: prometheus.NewRegistry(), log: &bytes.Buffer{}, ahead: &atomic.Int64{}}
	now := func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }
	p.Set = revocation.New(d.pool, c, slog.New(slog.NewJSONHandler(p.log, nil)), p.registry, now)
	return p
}

// run keeps the set up to date until the test ends.
func (p process) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
}

func (p process) later(d time.Duration) { p.ahead.Add(int64(d)) }

// mustSay checks what the set says of a token.
func (p process) mustSay(t *testing.T, c token.Claims, want bool) {
	t.Helper()
	if got, err := p.Revoked(t.Context(), c); got != want || err != nil {
		t.Errorf("%+v is revoked: %v, %v; want %v", c, got, err, want)
	}
}

// wait waits until the set knows that a token was withdrawn.
func (p process) wait(t *testing.T, c token.Claims) {
	t.Helper()
	for {
		revoked, err := p.Revoked(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if revoked {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func of(id string) token.Claims { return token.Claims{ID: id, MemberID: "ada"} }

func defaults(t *testing.T, environ ...string) revocation.Config {
	t.Helper()
	c, err := config.Load[revocation.Config](environ)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What was withdrawn before the process began counts from its first check on.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec(t, `
		INSERT INTO revoked_token VALUES ('out', 'ada', now() + interval '1 hour', now() - interval '10 days'), ('over', 'ada', now() - interval '1 day', now());
		INSERT INTO revoked_member VALUES ('bob', 7, now() + interval '1 hour'), ('eve', 7, now() - interval '1 day')`)
	p := newProcess(t, d, defaults(t))
	for _, test := range []struct {
		claims token.Claims
		want   bool
	}{
		{of("out"), true},
		{of("in"), false},
		{of("over"), false}, // nobody asks: it has expired
		{token.Claims{ID: "x", MemberID: "bob", Generation: 6}, true},
		{token.Claims{ID: "x", MemberID: "bob"}, true},
		{token.Claims{ID: "x", MemberID: "bob", Generation: 7}, false},
		{token.Claims{ID: "x", MemberID: "eve", Generation: 6}, false},
		{token.Claims{ID: "x", MemberID: "BOB"}, false},
	} {
		p.mustSay(t, test.claims, test.want)
	}
	const numbers = `
# HELP token_revocations Withdrawals in force: of one token, or of all tokens of a member.
# TYPE token_revocations gauge
token_revocations{of="member"} 1
token_revocations{of="token"} 1
`
	if err := testutil.GatherAndCompare(p.registry, strings.NewReader(numbers), "token_revocations"); err != nil {
		t.Error(err)
	}
}

// A notification counts at once, and nothing that is no notification of ours
// does any harm.
func TestNotification(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	p := newProcess(t, d, defaults(t, "REVOCATIONS_REFRESH=1h", "REVOCATIONS_MAX_AGE=2h")) // nothing is read meanwhile
	p.run(t)
	p.mustSay(t, of("a"), false)
	for i := 0; ; i++ { // until it listens
		id := fmt.Sprint("first", i)
		d.exec(t, "SELECT pg_notify('token_revoked', $1)", `{"jti":"`+id+`","member_id":"ada","expires_at":"2099-01-01T00:00:00.5+09:00"}`)
		time.Sleep(time.Millisecond)
		if revoked, err := p.Revoked(t.Context(), of(id)); err != nil || revoked {
			break
		}
	}
	for _, payload := range []string{``, `x`, `[]`, `{}`, `{"jti":"a"}`, `{"jti":7,"member_id":"ada"}`} {
		d.exec(t, "SELECT pg_notify('token_revoked', $1)", payload)
	}
	d.exec(t, `SELECT pg_notify('token_revoked', '{"member_id":"bob","generation":7,"expires_at":"2099-01-01T00:00:00+00:00"}')`)
	d.exec(t, `SELECT pg_notify('token_revoked', '{"member_id":"bob","generation":3,"expires_at":"2099-01-01T00:00:00+00:00"}')`) // overtaken
	d.exec(t, `SELECT pg_notify('token_revoked', '{"jti":"last","member_id":"ada","expires_at":"2099-01-01T00:00:00Z"}')`)
	p.wait(t, of("last"))
	p.mustSay(t, token.Claims{ID: "x", MemberID: "bob", Generation: 6}, true)
	p.mustSay(t, token.Claims{ID: "x", MemberID: "bob", Generation: 7}, false)
	p.mustSay(t, of("a"), false)
}

// What nobody was notified of is found by the next read, also what took long to
// be committed; and after a lost connection everything is read, however old.
func TestMissedNotification(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	p := newProcess(t, d, defaults(t, "REVOCATIONS_REFRESH=2ms"))
	p.run(t)
	p.mustSay(t, of("a"), false)
	d.silently(t, "a", time.Now().Add(-50*time.Second))
	p.wait(t, of("a"))
	d.silently(t, "old", time.Now().Add(-time.Hour))
	d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
	p.wait(t, of("old"))
}

// An entry goes when the last token that it withdraws has expired, and not before.
func TestForget(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	p := newProcess(t, d, defaults(t, "REVOCATIONS_REFRESH=1ms", "REVOCATIONS_MAX_AGE=1000h"))
	p.mustSay(t, of("x"), false)
	p.Add(revocation.Entry{ID: "a", MemberID: "ada", ExpiresAt: time.Now().Add(time.Hour)},
		revocation.Entry{MemberID: "bob", Generation: 2, ExpiresAt: time.Now().Add(2 * time.Hour)})
	p.run(t)
	p.later(time.Hour + 4*time.Second) // a token may be accepted that long
	p.mustSay(t, of("a"), true)
	for at := time.Duration(0); ; at += time.Minute {
		revoked, err := p.Revoked(t.Context(), of("a"))
		if err != nil {
			t.Fatal(err)
		}
		if !revoked {
			break
		}
		if at < 2*time.Minute {
			p.later(time.Minute)
		}
		time.Sleep(time.Millisecond)
	}
	p.mustSay(t, token.Claims{ID: "x", MemberID: "bob"}, true)
}

// When what is known is too old and cannot be read, the configuration decides;
// what is known to be withdrawn stays so in any case.
func TestStale(t *testing.T) {
	t.Parallel()
	const unknown = 503
	for _, test := range []struct {
		whenStale string
		good      int // of a token that is not withdrawn
		outcome   string
	}{{"refuse", unknown, "refused"}, {"accept", 200, "accepted"}} {
		t.Run(test.whenStale, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			d.silently(t, "out", time.Now())
			p := newProcess(t, d, defaults(t, "REVOCATIONS_WHEN_STALE="+test.whenStale))
			answer := func(c token.Claims) int {
				revoked, err := p.Revoked(t.Context(), c)
				switch {
				case fault.CodeOf(err) == fault.Unavailable:
					return unknown
				case err != nil:
					t.Error(err)
				case revoked:
					return 401
				}
				return 200
			}
			d.goAway(t)
			if got := answer(of("in")); got != unknown {
				t.Errorf("nothing was ever read, and yet %d", got)
			}
			d.comeBack(t)
			p.later(time.Second) // it is not asked at once again
			if in, out := answer(of("in")), answer(of("out")); in != 200 || out != 401 {
				t.Errorf("read: %d and %d", in, out)
			}
			d.goAway(t)
			p.later(20 * time.Second)
			if in := answer(of("in")); in != 200 {
				t.Errorf("within the bound: %d", in)
			}
			p.later(11 * time.Second)
			for range 3 {
				if in, out := answer(of("in")), answer(of("out")); in != test.good || out != 401 {
					t.Errorf("beyond the bound: %d and %d", in, out)
				}
			}
			d.comeBack(t)
			d.silently(t, "meanwhile", time.Now())
			p.later(time.Second)
			if in, out := answer(of("in")), answer(of("meanwhile")); in != 200 || out != 401 {
				t.Errorf("read again: %d and %d", in, out)
			}
			if got := strings.Count(p.log.String(), "\n"); got != 4 { // twice unknown, twice restored
				t.Errorf("%d lines in the log:\n%s", got, p.log)
			}
			const name = "token_revocations_stale_checks_total"
			want := map[string]int{"refuse": 4, "accept": 1}[test.whenStale] // one before the first read
			numbers := fmt.Sprintf("%s{outcome=\"refused\"} %d\n", name, want)
			accepted := 3
			if test.good == unknown {
				accepted = 0
			}
			numbers = fmt.Sprintf("# HELP %[1]s Checks of tokens while revocations were too old and could not be read, by what became of the token.\n# TYPE %[1]s counter\n%[1]s{outcome=\"accepted\"} %[2]d\n", name, accepted) + numbers
			if err := testutil.GatherAndCompare(p.registry, strings.NewReader(numbers), name); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		wrong   []string
	}{
		"defaults":        {nil, nil},
		"accept":          {[]string{"REVOCATIONS_WHEN_STALE=accept"}, nil},
		"everything_bad":  {[]string{"REVOCATIONS_REFRESH=0s", "REVOCATIONS_MAX_AGE=0s", "REVOCATIONS_WHEN_STALE=maybe"}, []string{"REVOCATIONS_REFRESH", "REVOCATIONS_MAX_AGE", "REVOCATIONS_WHEN_STALE"}},
		"always_too_old":  {[]string{"REVOCATIONS_MAX_AGE=5s"}, []string{"REVOCATIONS_MAX_AGE"}},
		"never_looked_up": {[]string{"REVOCATIONS_REFRESH=-1s"}, []string{"REVOCATIONS_REFRESH"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[revocation.Config](test.environ)
			if (err == nil) != (test.wrong == nil) {
				t.Fatalf("error %v", err)
			}
			for _, w := range test.wrong {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%s is not reported: %v", w, err)
				}
			}
		})
	}
}

func BenchmarkRevoked(b *testing.B) {
	pool, err := pgxpool.New(b.Context(), pgtest.Empty(b))
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(b.Context(), schema); err != nil {
		b.Fatal(err)
	}
	s := revocation.New(pool, revocation.Config{Refresh: time.Hour, MaxAge: 2 * time.Hour, WhenStale: "refuse"}, slog.New(slog.DiscardHandler), prometheus.NewRegistry(), time.Now)
	for i := range 10_000 {
		s.Add(revocation.Entry{ID: fmt.Sprint(i), MemberID: "ada", ExpiresAt: time.Now().Add(time.Hour)})
	}
	for b.Loop() {
		if revoked, err := s.Revoked(b.Context(), of("in")); revoked || err != nil {
			b.Fatal(revoked, err)
		}
	}
}
