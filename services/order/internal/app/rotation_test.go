package app_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/pizza/migrations/migrationstest"
	secrets "example.com/pizza/pkg/secret"
	"example.com/pizza/pkg/testkit/pgtest"
	"example.com/pizza/pkg/testkit/tokentest"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/internal/app"
	"example.com/pizza/services/order/internal/menuclient"
)

// fleet is a login service and two replicas of order, each with its own mount
// of the keys: in a cluster these change minutes apart.
type fleet struct {
	client *http.Client
	login  replica
	orders []replica
}

// replica is one process with its addresses and key files.
type replica struct {
	public, internal string
	keys             tokentest.Volume
}

func startFleet(t *testing.T, key string) *fleet {
	t.Helper()
	db := migrationstest.NewSeeded(t)
	transport := &http.Transport{}
	f := &fleet{client: &http.Client{Transport: transport}}
	f.login.keys = tokentest.NewVolume(t, key)
	f.login.public, f.login.internal = startNeighbour(t, buildLogin, append(pgtest.Environ(t, db.URL("login_svc")),
		"JWT_SECRET_FILE="+f.login.keys.Path(tokentest.Signing), "JWT_SECRET_PREVIOUS_FILE="+f.login.keys.Path(tokentest.Previous),
		"PASSWORD_WAIT=1m", "REQUEST_TIMEOUT=2m",
		"LOGIN_RATE_PER_ACCOUNT=off", "LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS=off", "LOGIN_RATE_PER_ADDRESS=off")) // one member logs in continuously
	t.Cleanup(transport.CloseIdleConnections) // before login waits for them
	menuURL := startMenu(t, db)
	for range 2 {
		v := tokentest.NewVolume(t, key)
		s := startWith(t, app.Config{
			DB: pgtest.Config(t, db.URL("order_svc")), Menu: menuclient.Config{BaseURL: menuURL, Timeout: 2 * time.Second},
			Token: token.Config{SecretFile: v.Path(tokentest.Signing), PreviousFile: v.Path(tokentest.Previous), Every: 5 * time.Millisecond},
		})
		f.orders = append(f.orders, replica{s.Public, s.Internal, v})
	}
	return f
}

// set changes the keys of a replica and waits until its metrics show them.
func (f *fleet) set(t *testing.T, r replica, signing string, previous ...string) {
	t.Helper()
	r.keys.Set(t, signing, previous...)
	want := []string{
		fmt.Sprintf("token_key_info{kid=%q,use=\"sign\"} 1\n", kidOf(t, signing)),
		fmt.Sprintf("token_verifying_keys %d\n", 1+len(previous)),
	}
	for {
		status, body, err := f.send(t.Context(), http.MethodGet, r.internal+"/metrics", "", "")
		if err != nil || status != http.StatusOK {
			t.Fatalf("metrics: %d, %v", status, err)
		}
		if strings.Contains(body, want[0]) && strings.Contains(body, want[1]) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// kidOf returns the id of a key, which metrics show.
func kidOf(t *testing.T, key string) string {
	t.Helper()
	raw, err := token.NewKeys(token.Config{Secret: secrets.Text(key)}, time.Now).Issue("minji", 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return kid(t, raw)
}

// kid returns the id of the key that signed a token.
func kid(t *testing.T, raw string) string {
	t.Helper()
	header, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(header)
	var fields struct{ Kid string }
	if err != nil || json.Unmarshal(text, &fields) != nil || fields.Kid == "" {
		t.Fatalf("header %s, %v", text, err)
	}
	return fields.Kid
}

func (f *fleet) send(ctx context.Context, method, url, bearer, body string) (status int, answer string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

const credentials = `{"id":"minji","pw":"correct horse battery","name":"Kim Minji"}`

func (f *fleet) logIn(ctx context.Context) (string, error) {
	status, body, err := f.send(ctx, http.MethodPost, f.login.public+"/login/", "", credentials)
	var session struct{ Token string }
	if err != nil {
		return "", err
	}
	if status != http.StatusOK || json.Unmarshal([]byte(body), &session) != nil || session.Token == "" {
		return "", fmt.Errorf("login: %d %s", status, body)
	}
	return session.Token, nil
}

// want checks that login and both orders respond to a token with this status.
// Any goroutine may call it.
func (f *fleet) want(t *testing.T, when, raw string, want int) {
	t.Helper()
	status, _, err := f.send(t.Context(), http.MethodPost, f.login.internal+"/int/auth/verify", "", `{"token":"`+raw+`"}`)
	if err != nil || status != want {
		t.Errorf("%s: login answers %d, %v; want %d", when, status, err, want)
	}
	for i, r := range f.orders {
		status, _, err := f.send(t.Context(), http.MethodGet, r.public+"/order/myorder/", raw, "")
		if err != nil || status != want {
			t.Errorf("%s: order %d answers %d, %v; want %d", when, i, status, err, want)
		}
	}
}

// A rotation by the handbook while members log in and list their orders: every
// token is valid everywhere at all times, until its key is removed.
func TestRotation(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("old!", 8), strings.Repeat("new?", 8)
	f := startFleet(t, a)
	if status, body, err := f.send(t.Context(), http.MethodPost, f.login.public+"/login/register/", "", credentials); err != nil || status != http.StatusCreated {
		t.Fatalf("register: %d %s, %v", status, body, err)
	}
	old, err := f.logIn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.want(t, "before", old, http.StatusOK)

	var enough atomic.Bool
	var members sync.WaitGroup
	for range 2 {
		members.Go(func() { f.use(t, old, &enough) })
	}
	all := append([]replica{f.login}, f.orders...)
	for _, r := range all { // verification comes before signing
		f.set(t, r, a, b)
	}
	f.want(t, "the new key verifies", old, http.StatusOK)
	for _, r := range all { // login first: it signs with the new key while the orders only verify with it
		f.set(t, r, b, a)
		f.want(t, "the new key signs", old, http.StatusOK)
	}
	fresh, err := f.logIn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kid(t, old) != kidOf(t, a) || kid(t, fresh) != kidOf(t, b) {
		t.Errorf("kids %s and %s", kid(t, old), kid(t, fresh))
	}
	f.want(t, "a new token", fresh, http.StatusOK)
	enough.Store(true)
	members.Wait()

	for _, r := range all {
		f.set(t, r, b)
	}
	f.want(t, "the old key is removed", old, http.StatusUnauthorized)
	f.want(t, "the old key is removed", fresh, http.StatusOK)
}

// use logs in and presents its tokens until told to stop; none may be rejected.
func (f *fleet) use(t *testing.T, old string, until *atomic.Bool) {
	for !until.Load() && !t.Failed() {
		fresh, err := f.logIn(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		for _, raw := range []string{fresh, old} {
			f.want(t, "in the middle", raw, http.StatusOK)
		}
	}
}
