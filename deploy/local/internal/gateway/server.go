package gateway

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/pizza/pkg/edge"
)

// Server returns an HTTP server for the gateway. It sets no timeout for whole
// requests, because the services do.
func (g *Gateway) Server() *http.Server {
	s := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: 5 * time.Second, // same as the services
		MaxHeaderBytes:    edge.MaxHeader,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
	waiting := &silent{conns: map[net.Conn]struct{}{}}
	s.ConnState = waiting.track
	s.RegisterOnShutdown(waiting.close)
	return s
}

// silent tracks connections without a request so far. Browsers open these in
// advance, and Shutdown would wait five seconds for each.
type silent struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func (s *silent) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.conns[c] = struct{}{}
		return
	}
	delete(s.conns, c)
}

func (s *silent) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close() // best effort
	}
}
