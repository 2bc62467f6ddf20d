package parity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"example.com/pizza/pkg/secret"
)

// Options say what is compared, and how.
type Options struct {
	Old, New    *url.URL // without a path
	Rules       Rules
	Logins      map[string]secret.Text // passwords by member id
	Timeout     time.Duration          // of one answer
	Again       time.Duration          // pause before a read that differs is sent once more
	Concurrency int
	MaxBody     int64 // a longer answer is not compared
}

// ParseBase parses the address of a system.
func ParseBase(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, errors.New("must be an address without a path, such as http://localhost:8000")
	}
	u.Path = ""
	return u, nil
}

// side is one of the two systems.
type side struct {
	name    string
	base    *url.URL
	client  *http.Client
	maxBody int64
	tokens  map[string]secret.Text // by member id
}

// systems are both systems, and how they are compared.
type systems struct {
	Options
	old, new *side
}

func newSystems(o Options) *systems {
	of := func(name string, base *url.URL) *side {
		return &side{name, base, &http.Client{
			Timeout: o.Timeout,
			Transport: &http.Transport{
				DialContext: (&net.Dialer{Timeout: o.Timeout}).DialContext, MaxIdleConnsPerHost: o.Concurrency,
				IdleConnTimeout: time.Minute, Proxy: http.ProxyFromEnvironment,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}, o.MaxBody, map[string]secret.Text{}}
	}
	return &systems{o, of("old", o.Old), of("new", o.New)}
}

func (p *systems) close() {
	p.old.client.CloseIdleConnections()
	p.new.client.CloseIdleConnections()
}

// login logs the members of requests in on both sides.
func (p *systems) login(ctx context.Context, requests []Request) error {
	for _, q := range requests {
		for _, s := range []*side{p.old, p.new} {
			if q.As == "" || s.tokens[q.As] != "" {
				continue
			}
			token, err := s.login(ctx, q.As, p.Logins[q.As])
			if err != nil {
				return fmt.Errorf("log %s in to the %s system: %w", q.As, s.name, err)
			}
			s.tokens[q.As] = token
		}
	}
	return nil
}

// login returns a token. Errors do not contain the answer.
func (s *side) login(ctx context.Context, id string, password secret.Text) (secret.Text, error) {
	body, err := json.Marshal(map[string]string{"id": id, "pw": string(password)})
	if err != nil {
		return "", err
	}
	answer, err := s.ask(ctx, &Request{Method: http.MethodPost, Path: "/api/login/", Body: body})
	if err != nil {
		return "", err
	}
	var session struct{ Token string }
	if err := json.Unmarshal(answer.Body, &session); err != nil || session.Token == "" {
		return "", fmt.Errorf("status %d without a token", answer.Status)
	}
	return secret.Text(session.Token), nil
}

// ask sends a request. Errors contain neither the address nor the request.
func (s *side) ask(ctx context.Context, q *Request) (*Answer, error) {
	body, contentType := q.body()
	path, err := url.Parse(q.Path)
	if err != nil {
		return nil, errors.New("the path is not valid")
	}
	target := *s.base
	target.Path, target.RawPath, target.RawQuery = path.Path, path.RawPath, path.RawQuery
	r, err := http.NewRequestWithContext(ctx, q.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the request is not valid")
	}
	r.Header.Set("Accept", "application/json")
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for name, value := range q.Headers {
		r.Header.Set(name, value)
	}
	if token := s.tokens[q.As]; token != "" {
		r.Header.Set("Authorization", "Bearer "+string(token))
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, s.failed(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	content, err := io.ReadAll(io.LimitReader(answer.Body, s.maxBody+1))
	if err != nil {
		return nil, s.failed(err)
	}
	if int64(len(content)) > s.maxBody {
		return nil, fmt.Errorf("%s: the answer is longer than %d bytes", s.name, s.maxBody)
	}
	localize(answer.Header, s.base.Host)
	return &Answer{answer.StatusCode, answer.Header, content}, nil
}

func (s *side) failed(err error) error {
	var outer *url.Error // its text has the address
	if errors.As(err, &outer) {
		err = outer.Err
	}
	if t := net.Error(nil); errors.As(err, &t) && t.Timeout() {
		return fmt.Errorf("%s: no answer within %v", s.name, s.client.Timeout)
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// localize removes the own address from Location, which differs between the sides.
func localize(h http.Header, hosts ...string) {
	location, err := url.Parse(h.Get("Location"))
	if err != nil || location.Host == "" {
		return
	}
	for _, host := range hosts {
		if strings.EqualFold(location.Host, host) {
			location.Scheme, location.Host, location.User = "", "", nil
			h.Set("Location", location.String())
			return
		}
	}
}

// Result is what was seen of one request.
type Result struct {
	Name        string       `json:"name,omitempty"`
	Method      string       `json:"method"`
	Path        string       `json:"path"`
	Error       string       `json:"error,omitempty"` // why nothing was compared
	Differences []Difference `json:"differences"`     // one for each what and kind
	Diff        string       `json:"diff,omitempty"`  // around the first one that is not intended
	route       string
	matched     []int // differences by rule
	tried       []bool
}

// different counts what is not intended.
func (r *Result) different() (n int) {
	for i := range r.Differences {
		if r.Differences[i].Reason == "" {
			n++
		}
	}
	return n
}

// compare sends a request to both systems, or to the new one alone if the old one has answered.
func (p *systems) compare(ctx context.Context, q *Request, old *Answer) Result {
	first := p.once(ctx, q, old)
	if first.different() == 0 || !isRead(q.Method, q.Path) {
		return first
	}
	select {
	case <-ctx.Done():
		return first
	case <-time.After(p.Again):
	}
	if second := p.once(ctx, q, nil); second.Error == "" {
		return second
	}
	return first
}

func (p *systems) once(ctx context.Context, q *Request, old *Answer) Result {
	result := Result{Name: q.Name, Method: q.Method, Path: q.Path, route: q.route()}
	var ours *Answer
	var errs [2]error // each side's, since the other one is asked anyway
	var group errgroup.Group
	if old == nil {
		group.Go(func() error { old, errs[0] = p.old.ask(ctx, q); return nil })
	}
	group.Go(func() error { ours, errs[1] = p.new.ask(ctx, q); return nil })
	_ = group.Wait() // returns none
	if err := errors.Join(errs[:]...); err != nil {
		result.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		return result
	}
	switch {
	case old.Status >= 500 && ours.Status >= 500:
		result.Error = fmt.Sprintf("both fail: old %d, new %d", old.Status, ours.Status)
	case old.Status == http.StatusTooManyRequests || ours.Status == http.StatusTooManyRequests:
		result.Error = fmt.Sprintf("a rate limit refuses it: old %d, new %d", old.Status, ours.Status)
	default:
		p.Rules.judge(&result, compare(old, ours))
	}
	return result
}
