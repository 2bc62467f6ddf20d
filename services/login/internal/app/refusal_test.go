package app_test

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/problem"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/login/internal/hashing"
)

// metric returns the value of one line of /metrics.
func (s *service) metric(t *testing.T, line string) float64 {
	t.Helper()
	a, err := http.Get(s.Internal + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body) // Response.Write would split lines into chunks
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(l, line+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", line)
	return 0
}

// An unknown id cannot be told from a wrong password: the response is the same
// after the same work, for any stored value. Only hashes that are costlier than a
// new one take their own work. The test compares not time but the counted work
// of every key derivation function.
func TestRefusalsCannotBeToldApart(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	conn := superuser(t, db)
	rows := stored()
	rows["current"] = cost.Hash("pizza1234")
	rows["django_long"] = strings.Replace(rows["django"], "$1000$", "$300000$", 1)
	rows["heavy"] = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$plMerz0GaAaIDuf+WEK2dQ4ByxoupKK4rbp39SRnT3U"
	rows["bcrypt"] = "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW"
	rows["empty"] = ""
	for id, value := range rows {
		exec(t, conn, "INSERT INTO member VALUES ($1, $2, 'x')", id, value)
	}
	rows["nobody"] = "" // no such member
	s := start(t, db)
	const argon2id, pbkdf2 = `login_password_kdf_work_total{function="argon2id"}`, `login_password_kdf_work_total{function="pbkdf2_sha256"}`
	var want *problem.Problem
	for id := range rows {
		blocks, iterations := s.metric(t, argon2id), s.metric(t, pbkdf2)
		a := s.tryLogin(t, id, "wrong")
		p := mustRefuse(t, a, http.StatusUnauthorized)
		if want == nil {
			want = &p
		}
		if diff := cmp.Diff(*want, p, cmpopts.IgnoreFields(problem.Problem{}, "TraceID")); diff != "" || len(a.Header.Values("Retry-After")) > 0 {
			t.Errorf("%s: another answer:\n%s", id, diff)
		}
		blocks, iterations = s.metric(t, argon2id)-blocks, s.metric(t, pbkdf2)-iterations
		wantBlocks, wantIterations := 2*1024.0, 0.0
		switch id {
		case "django":
			wantIterations = 1000
		case "django_long":
			wantBlocks, wantIterations = 0, 300000
		case "heavy":
			wantBlocks = 2 * 65536
		}
		if blocks != wantBlocks || iterations != wantIterations {
			t.Errorf("%s: %v KiB-passes of Argon2id and %v iterations of PBKDF2", id, blocks, iterations)
		}
	}
}

// A login reads the member's rows by key and never scans the table, for any
// number of members and from the first login on.
func TestLoginReadsNoTable(t *testing.T) {
	t.Parallel()
	db := migrationstest.New(t)
	conn := superuser(t, db)
	exec(t, conn, "INSERT INTO member SELECT 'member ' || n, 'pbkdf2_sha256$1000$seasalt$x', 'x' FROM generate_series(1, 50000) n")
	exec(t, conn, "ANALYZE member")
	const scans = "SELECT coalesce(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'member'"
	const reads = "SELECT coalesce(idx_scan, 0) + coalesce(seq_scan, 0) FROM pg_stat_user_tables WHERE relname = 'member'"
	scanned, read := query[int64](t, conn, scans), query[int64](t, conn, reads)
	const logins = 5
	s := start(t, db)
	s.register(t, "minji", "correct horse")
	for range logins {
		s.login(t, "minji", "correct horse")
		mustRefuse(t, s.tryLogin(t, "member 7", "wrong"), http.StatusUnauthorized)
		mustRefuse(t, s.tryLogin(t, "nobody", "wrong"), http.StatusUnauthorized)
	}
	// A server process reports its statistics late and all at once.
	for query[int64](t, conn, reads) < read+3*logins {
		if t.Context().Err() != nil {
			t.Fatal("the reads are not reported")
		}
		exec(t, conn, "SELECT pg_sleep(0.1)")
		exec(t, conn, "SELECT pg_stat_clear_snapshot()")
	}
	if n := query[int64](t, conn, scans) - scanned; n != 0 {
		t.Errorf("%d scans of the table", n)
	}
}

// Requests beyond the queue are rejected at once, with Retry-After; admitted
// ones are served.
func TestLoginFlood(t *testing.T) {
	t.Parallel()
	c := patient("on")
	c.Hashes, c.Queue = 1, 2
	s := startWith(t, migrationstest.New(t), c)
	s.register(t, "minji", "correct horse")
	flooded(t, s, 40)
	if in := s.metric(t, "login_password_admission_in_work"); in != 0 {
		t.Errorf("%v are still in work", in)
	}
	if s.metric(t, `login_password_admission_rejected_total{reason="queue_full"}`) == 0 {
		t.Error("the refused were not counted")
	}
	s.login(t, "minji", "correct horse") // the flood is over
	if !strings.Contains(s.Log.String(), "admission queue full") {
		t.Error("the log does not say so")
	}
}

// Without a wait time, no request queues.
func TestLoginWithoutPatience(t *testing.T) {
	t.Parallel()
	s := startWith(t, migrationstest.New(t), hashing.Config{Hashes: 1, Queue: 100, Upgrade: "on", Cost: password.Recommended()})
	s.register(t, "minji", "correct horse")
	flooded(t, s, 8)
}

// flooded sends many concurrent logins, until some were served and some
// rejected.
func flooded(t *testing.T, s *service, many int) {
	t.Helper()
	body := object(t, "id", "minji", "pw", "correct horse")
	for in, busy := 0, 0; in == 0 || busy == 0; {
		answers := make(chan apitest.Answer, many)
		for range many {
			go func() {
				a, _ := s.Send(t.Context(), http.MethodPost, "/login/", body, "Content-Type", asJSON)
				answers <- a
			}()
		}
		for range many {
			switch a := <-answers; a.Status {
			case http.StatusOK:
				in++
			case http.StatusServiceUnavailable:
				busy++
				if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 {
					t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
				}
			default:
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
	}
}
