// Package natsserver runs an in-process NATS server with JetStream, for tests and
// for single-machine systems.
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

// Server is a running server.
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

// URL returns the address for clients.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Port returns the port of the server.
func (s *Server) Port() int { return s.nats.Addr().(*net.TCPAddr).Port } //nolint:forcetypeassert // it listens on TCP

// Stop stops the server, and returns when everything is on disk.
func (s *Server) Stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}
