// Package faultproxy is a test kit: a proxy between a client and a real server
// that can be told to misbehave, and to be well again, while connections go
// through it.
//
//	p, err := faultproxy.Listen("127.0.0.1:9000") // the real server
//	client → p.Addr() → real server
//	p.Set(faultproxy.Reset); …; p.Heal()
//
// Each connection is a link of two directions. A piece of bytes that arrives is
// passed on, held, swallowed or answered as the fault of that moment says, so a
// fault meets the connections that are already there, too. Bytes that were
// swallowed are gone: their link stays silent after the fault is healed, as a
// connection to a peer that vanished does.
//
// It is small on purpose. Shopify/toxiproxy as a library has no faults of HTTP,
// does not wait for its goroutines when it stops, and brings a server of its own.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Fault is what a proxy does to the traffic.
type Fault string

// The faults, as a client sees them.
const (
	None        Fault = "none"
	Latency     Fault = "latency"      // each piece of an answer comes late; see Delay
	Reset       Fault = "reset"        // connections are reset, new ones at once
	ServerError Fault = "server_error" // each HTTP request is answered 500, and not passed on
	HalfOpen    Fault = "half_open"    // requests are taken in, and nothing ever comes back
	Vanish      Fault = "vanish"       // an answer stops one byte before the end of its first piece, and nothing follows
	BlackHole   Fault = "black_hole"   // nothing moves, and nobody accepts; what is under way goes on after healing
)

// Proxy passes TCP connections on to one server.
type Proxy struct {
	upstream string
	listener net.Listener
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	delay   time.Duration
	changed chan struct{} // closed when fault or delay change
	met     int
	links   map[*link]struct{}
}

// Listen starts a proxy on a free port of 127.0.0.1 before the server at
// upstream (host:port), without a fault.
func Listen(upstream string) (*Proxy, error) {
	ctx, stop := context.WithCancel(context.Background())
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, fmt.Errorf("faultproxy: %w", err)
	}
	p := &Proxy{
		upstream: upstream, listener: l, ctx: ctx, stop: stop,
		fault: None, changed: make(chan struct{}), links: map[*link]struct{}{},
	}
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where the proxy listens, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close ends the proxy and every connection through it, and waits for both.
func (p *Proxy) Close() error {
	p.stop()
	err := p.listener.Close()
	p.each((*link).close)
	p.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Set makes the proxy misbehave from now on.
func (p *Proxy) Set(f Fault) { p.set(f, 0) }

// Delay is Set(Latency), by d.
func (p *Proxy) Delay(d time.Duration) { p.set(Latency, d) }

// Heal is Set(None).
func (p *Proxy) Heal() { p.set(None, 0) }

func (p *Proxy) set(f Fault, delay time.Duration) {
	p.mu.Lock()
	p.fault, p.delay, p.met = f, delay, 0
	close(p.changed)
	p.changed = make(chan struct{})
	p.mu.Unlock()
	if f == Reset {
		p.each(func(l *link) { l.reset() })
	}
}

// Met returns how many times the present fault has interfered: a fault that met
// nobody proves nothing.
func (p *Proxy) Met() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// now returns the fault of this moment, and when it is no longer that.
func (p *Proxy) now() (Fault, time.Duration, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.delay, p.changed
}

func (p *Proxy) meet() {
	p.mu.Lock()
	p.met++
	p.mu.Unlock()
}

// each does something to the links that are there.
func (p *Proxy) each(do func(*link)) {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		do(l)
	}
}

// await holds the caller while nothing moves, and returns what is to be done
// then. It returns false when the proxy ends.
func (p *Proxy) await() (Fault, bool) {
	f, _, changed := p.now()
	if f == BlackHole {
		p.meet()
	}
	for f == BlackHole {
		select {
		case <-changed:
			f, _, changed = p.now()
		case <-p.ctx.Done():
			return f, false
		}
	}
	return f, p.ctx.Err() == nil
}

// pause holds an answer for the latency. It returns false when the proxy ends.
func (p *Proxy) pause() bool {
	f, delay, changed := p.now()
	if f != Latency {
		return true
	}
	p.meet()
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-p.ctx.Done():
		return false
	}
	return true
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // Close
		}
		// While nothing moves, this one waits here and all others in the
		// backlog of the listener.
		f, ok := p.await()
		if !ok {
			_ = client.Close()
			return
		}
		l := &link{proxy: p, client: client.(*net.TCPConn)}
		if f == Reset {
			p.meet()
			l.reset()
			continue
		}
		p.running.Go(l.run)
	}
}
