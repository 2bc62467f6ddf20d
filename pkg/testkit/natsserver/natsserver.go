// Package natsserver runs a NATS server with JetStream inside the process, for
// tests and for a system on one machine.
package natsserver

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTime bounds the start: JetStream reads its folder first.
const startTime = 30 * time.Second

// Server is a server that runs.
type Server struct{ nats *server.Server }

// Start runs a server on the loopback address that keeps its streams in dir.
// Port 0 picks a free one.
func Start(dir string, port int) (*Server, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, fmt.Errorf("nats server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTime) {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, errors.New("nats server: not ready in time; is the port in use?")
	}
	return &Server{s}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Port is where the server listens.
func (s *Server) Port() int { return s.nats.Addr().(*net.TCPAddr).Port } //nolint:forcetypeassert // it listens on TCP

// Stop ends the server, and returns when everything is on disk.
func (s *Server) Stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}
