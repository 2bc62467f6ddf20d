package loadtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	// connections is the number of clients that saturate a path: each waits for its
	// answer before it sends the next request.
	connections = 32
	// mostWaiting bounds the requests in flight of an open attack.
	mostWaiting = 4000
)

// newClient returns the HTTP client of all attacks. It asks for no compression, so that
// every server sends the same bytes. Connections of a moment when all were slow are closed
// soon, or services would look as if they grew.
func newClient() *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DialContext: (&net.Dialer{}).DialContext, MaxIdleConnsPerHost: mostWaiting, DisableCompression: true,
			IdleConnTimeout: 10 * time.Second,
		},
	}
}

// saturate sends requests by as many clients as there are connections, and returns the
// answers per second. A refusal is an error: it must not count as a fast answer.
func (s *system) saturate(ctx context.Context, targets vegeta.Targeter, long time.Duration) (float64, error) {
	attacker := vegeta.NewAttacker(
		vegeta.Client(s.client), vegeta.Workers(connections), vegeta.MaxWorkers(connections), vegeta.MaxBody(0))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	answers, began := 0, time.Now()
	ended := began
	var wrong error
	for r := range attacker.Attack(targets, vegeta.ConstantPacer{}, long, "") { // no rate: as fast as clients are free
		if r.Error != "" && wrong == nil {
			wrong = fmt.Errorf("%s %s: %s", r.Method, r.URL, r.Error)
			attacker.Stop()
		}
		answers++
		ended = later(ended, r.Timestamp.Add(r.Latency))
	}
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return float64(answers) / ended.Sub(began).Seconds(), wrong
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// schedule has the moment at which each request is due, from the start of an attack. It
// is the open model: a request is sent when it is due, not when another was answered.
type schedule []time.Duration

// constant returns the schedule of a constant rate.
func constant(perSecond float64, long time.Duration) schedule {
	s := make(schedule, int(perSecond*long.Seconds()))
	for i := range s {
		s[i] = time.Duration(float64(i) / perSecond * float64(time.Second))
	}
	return s
}

// Pace implements vegeta.Pacer. A request that is late is sent at once.
func (s schedule) Pace(elapsed time.Duration, hits uint64) (wait time.Duration, stop bool) {
	if hits >= uint64(len(s)) {
		return 0, true
	}
	return s[hits] - elapsed, false
}

// Rate implements vegeta.Pacer, where it is for display only.
func (s schedule) Rate(time.Duration) float64 { return 0 }

// drive sends the requests of a schedule, and returns the answers.
func (s *system) drive(ctx context.Context, name string, targets vegeta.Targeter, due schedule) ([]vegeta.Result, error) {
	answers := make([]vegeta.Result, 0, len(due))
	err := s.send(ctx, targets, due, func(a vegeta.Result) {
		a.Attack = name
		answers = append(answers, a)
	})
	return answers, err
}

// send sends the requests of a schedule, and takes the answers. Their latency counts from
// the moment at which a request was due. Vegeta's own begins when it is sent, and would
// hide that the machine was too busy to send it.
func (s *system) send(ctx context.Context, targets vegeta.Targeter, due schedule, take func(vegeta.Result)) error {
	attacker := vegeta.NewAttacker(vegeta.Client(s.client), vegeta.MaxWorkers(mostWaiting), vegeta.MaxBody(0))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	began := time.Now()
	for r := range attacker.Attack(targets, due, 0, "") { // a name would be a header of each request
		take(sinceDue(*r, began.Add(due[r.Seq])))
	}
	return context.Cause(ctx)
}

// sinceDue returns a result whose latency counts from the moment at which it was due.
func sinceDue(r vegeta.Result, due time.Time) vegeta.Result {
	r.Latency, r.Timestamp = r.Timestamp.Add(r.Latency).Sub(due), due
	return r
}

// request is one request to a server.
type request struct {
	method, url, body, token string
	key                      bool // with a new Idempotency-Key each time
}

func get(url string) request { return request{method: http.MethodGet, url: url} }

func (r request) target() vegeta.Target {
	t := vegeta.Target{Method: r.method, URL: r.url, Body: []byte(r.body), Header: http.Header{}}
	if r.body != "" {
		t.Header.Set("Content-Type", "application/json")
	}
	if r.token != "" {
		t.Header.Set("Authorization", "Bearer "+r.token)
	}
	if r.key {
		t.Header.Set("Idempotency-Key", uuid.NewString())
	}
	return t
}

// inTurn returns a targeter that repeats the requests in their order.
func inTurn(requests ...request) vegeta.Targeter {
	var next atomic.Uint64
	return func(t *vegeta.Target) error {
		*t = requests[(next.Add(1)-1)%uint64(len(requests))].target()
		return nil
	}
}
