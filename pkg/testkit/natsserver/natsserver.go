// Package natsserver runs in-process NATS servers with JetStream, for tests and
// for single-machine systems.
package natsserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startTime bounds the start: JetStream reads its folder first.
const startTime = 30 * time.Second

// Server is a server on the loopback address.
type Server struct {
	options server.Options
	nats    *server.Server
}

// Start runs a server that keeps its streams in dir.
func Start(dir string) (*Server, error) {
	ports, err := reservePorts(1)
	if err != nil {
		return nil, err
	}
	s := &Server{options: options(dir, ports[0])}
	if err := s.run(); err != nil {
		return nil, err
	}
	return s, nil
}

// StartCluster runs a cluster of servers, each with a folder.
func StartCluster(dirs []string) ([]*Server, error) {
	ports, err := reservePorts(2 * len(dirs))
	if err != nil {
		return nil, err
	}
	clients, peers := ports[:len(dirs)], ports[len(dirs):]
	var routes []*url.URL
	for _, port := range peers {
		routes = append(routes, &url.URL{Scheme: "nats", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
	}
	var all []*Server
	for i, dir := range dirs {
		o := options(dir, clients[i])
		o.ServerName, o.Routes = fmt.Sprint("server-", i), routes
		o.Cluster = server.ClusterOpts{Name: "cluster", Host: "127.0.0.1", Port: peers[i]}
		s := &Server{options: o}
		if err := s.run(); err != nil {
			for _, s := range all {
				s.Stop()
			}
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func options(dir string, port int) server.Options {
	return server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
}

func (s *Server) run() error {
	nats, err := server.NewServer(s.options.Clone())
	if err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	nats.Start()
	if !nats.ReadyForConnections(startTime) {
		nats.Shutdown()
		nats.WaitForShutdown()
		return errors.New("nats server: not ready in time; is the port in use?")
	}
	s.nats = nats
	return nil
}

// URL returns the address for clients.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Leads reports whether the server of a cluster leads a stream: it takes what is published.
func (s *Server) Leads(stream string) bool {
	return s.nats.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream)
}

// Stop stops the server, and returns when everything is on disk.
func (s *Server) Stop() {
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}

// Restart runs a stopped server again, at the same address.
func (s *Server) Restart() error { return s.run() }
