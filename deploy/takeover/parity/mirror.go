package parity

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	queued = 64 // reads that wait for the new system
	// grace bounds how long a stopped mirror waits for answers of the old system, and then
	// for comparisons.
	grace = 10 * time.Second
)

// Mirror is a reverse proxy in front of the old system, which gives all answers. Reads are
// repeated on the new system in the background and compared.
type Mirror struct {
	systems  *systems
	recorder *recorder
	proxy    *httputil.ReverseProxy
	queue    chan job
	stopping chan struct{}
	workers  sync.WaitGroup
	cancel   context.CancelFunc
}

// job is a read that the old system has answered.
type job struct {
	request Request
	old     Answer
}

// NewMirror starts a mirror. Stop ends it, and not the end of ctx.
func NewMirror(ctx context.Context, o Options, log *slog.Logger) *Mirror {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &Mirror{
		systems: newSystems(o), recorder: newRecorder(o),
		queue: make(chan job, queued), stopping: make(chan struct{}), cancel: cancel,
	}
	m.proxy = &httputil.ReverseProxy{
		Rewrite:        m.rewrite,
		ModifyResponse: m.watch,
		Transport:      &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute},
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				log.WarnContext(r.Context(), "the old system does not answer", "path", r.URL.Path, "error", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	for range o.Concurrency {
		m.workers.Go(func() { m.work(ctx) })
	}
	return m
}

// work compares until the mirror stops and nothing waits.
func (m *Mirror) work(ctx context.Context) {
	do := func(j job) {
		var err error
		if j.old.Body, err = unzip(j.old.Header, j.old.Body, m.systems.MaxBody); err != nil {
			m.recorder.leftOut(1)
			return
		}
		if result := m.systems.compare(ctx, &j.request, &j.old); ctx.Err() == nil {
			m.recorder.add(result)
		}
	}
	for {
		select {
		case j := <-m.queue:
			do(j)
			continue
		case <-m.stopping:
		}
		select {
		case j := <-m.queue:
			do(j)
		default:
			return
		}
	}
}

// Stop compares what waits, for a moment at most, and returns the report.
func (m *Mirror) Stop() *Report {
	close(m.stopping)
	late := time.AfterFunc(grace, m.cancel)
	m.workers.Wait()
	late.Stop()
	m.cancel()
	m.systems.close()
	if t, ok := m.proxy.Transport.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
	return m.recorder.now()
}

// ServeHTTP answers with the old system.
func (m *Mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.proxy.ServeHTTP(w, r) }

// Report serves the report as a page, and as JSON on /report.json.
func (m *Mirror) Report() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = m.recorder.now().WritePage(w) // the client is gone
	})
	mux.HandleFunc("GET /report.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(m.recorder.now()) // the client is gone
	})
	return mux
}

// rewrite sends a request on as it came: with its host, and with what proxies before said of it.
func (m *Mirror) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(m.systems.Old)
	r.Out.Host = r.In.Host
	r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
	r.SetXForwarded()
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Host"} {
		if known := r.In.Header[name]; known != nil {
			r.Out.Header[name] = known
		}
	}
	if isRead(r.In.Method, r.In.URL.Path) && r.In.Method == http.MethodPost && r.Out.Body != nil {
		r.Out.Body = &copied{ReadCloser: r.Out.Body, limit: m.systems.MaxBody}
	}
}

// watch copies the answer to a read while the client gets it.
func (m *Mirror) watch(answer *http.Response) error {
	in := answer.Request // as it went out
	if !isRead(in.Method, in.URL.Path) || !complete(in, answer) {
		m.recorder.leftOut(1)
		return nil
	}
	sent, _ := in.Body.(*copied)
	body := &copied{ReadCloser: answer.Body, limit: m.systems.MaxBody}
	header := answer.Header.Clone()
	localize(header, m.systems.Old.Host, in.Host)
	body.ended = func() {
		request, err := recorded(in, sent)
		content, whole := body.all()
		if !whole || err != nil {
			m.recorder.leftOut(1)
			return
		}
		select {
		case m.queue <- job{request, Answer{answer.StatusCode, header, content}}:
		default:
			m.recorder.dropped()
		}
	}
	answer.Body = body
	return nil
}

// complete reports whether an answer can be compared. One to a conditional request is not, because
// each side has ETags of its own.
func complete(r *http.Request, answer *http.Response) bool {
	encoding := answer.Header.Get("Content-Encoding")
	return answer.StatusCode != http.StatusNotModified && answer.StatusCode != http.StatusPartialContent &&
		answer.StatusCode != http.StatusSwitchingProtocols && r.Header.Get("Range") == "" &&
		(encoding == "" || encoding == "gzip") && !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream")
}

// recorded returns a request as the new system gets it: with the token, and without cookies,
// which belong to the old one.
func recorded(r *http.Request, sent *copied) (Request, error) {
	q := Request{Method: r.Method, Path: r.URL.RequestURI(), Headers: map[string]string{}}
	for _, name := range []string{"Accept", "Accept-Language", "Authorization", "Content-Type"} {
		if value := r.Header.Get(name); value != "" {
			q.Headers[name] = value
		}
	}
	if sent == nil {
		return q, nil
	}
	body, whole := sent.all()
	if !whole || !utf8.Valid(body) {
		return q, errors.New("the request cannot be repeated")
	}
	var err error
	q.Body, err = json.Marshal(string(body))
	return q, err
}

// copied is a body that keeps a copy of what is read of it.
type copied struct {
	io.ReadCloser
	limit int64
	ended func() // called once, at the end; may be nil
	once  sync.Once

	mu      sync.Mutex // a request may be read while its answer is
	content bytes.Buffer
	eof     bool
	long    bool
}

func (c *copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.keep(p[:n], errors.Is(err, io.EOF))
	if err != nil {
		c.end()
	}
	return n, err
}

func (c *copied) Close() error {
	err := c.ReadCloser.Close()
	c.end()
	return err
}

func (c *copied) keep(part []byte, eof bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.eof = c.eof || eof
	if int64(c.content.Len()+len(part)) > c.limit {
		c.long = true
		c.content = bytes.Buffer{}
	}
	if !c.long {
		c.content.Write(part)
	}
}

func (c *copied) end() {
	if c.ended != nil {
		c.once.Do(c.ended)
	}
}

// all returns the copy, and whether it is whole.
func (c *copied) all() (content []byte, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.content.Bytes(), c.eof && !c.long
}

// unzip returns a body without its encoding.
func unzip(h http.Header, body []byte, limit int64) ([]byte, error) {
	if h.Get("Content-Encoding") != "gzip" || len(body) == 0 {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(z, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("longer than %d bytes", limit)
	}
	return content, err
}
