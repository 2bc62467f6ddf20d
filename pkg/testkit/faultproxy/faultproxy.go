// Package faultproxy is a test kit: a proxy between a client and a real server
// whose faults can be switched on and off while connections are open.
//
//	p, err := faultproxy.Listen("127.0.0.1:9000") // the real server
//	client → p.Addr() → real server
//	p.Set(faultproxy.Reset); …; p.Heal()
//
// Each connection is a link with two directions. Each chunk that arrives is
// forwarded, held, dropped or answered, depending on the current fault. So a fault
// also affects connections that are already open. Dropped bytes are lost: their
// link stays silent after the fault is healed, like a connection to a peer that
// vanished.
//
// It is small on purpose. Shopify/toxiproxy as a library has no HTTP faults, does
// not wait for its goroutines when it stops, and brings its own server.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Fault is the effect of a proxy on the traffic.
type Fault string

// The faults, as a client sees them.
const (
	None        Fault = "none"
	Latency     Fault = "latency"      // each chunk of a response is late; see Delay
	Reset       Fault = "reset"        // connections are reset, new ones immediately
	ServerError Fault = "server_error" // each HTTP request is answered with 500, and not forwarded
	HalfOpen    Fault = "half_open"    // requests are read, and never answered
	Vanish      Fault = "vanish"       // a response stops one byte before the end of its first chunk, and nothing follows
	BlackHole   Fault = "black_hole"   // nothing is forwarded or accepted; held bytes go on after healing
)

// Proxy forwards TCP connections to one server.
type Proxy struct {
	upstream string
	listener net.Listener
	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu      sync.Mutex
	fault   Fault
	delay   time.Duration
	changed chan struct{} // closed when fault or delay changes
	met     int
	links   map[*link]struct{}
}

// Listen starts a proxy without a fault on a free port of 127.0.0.1, in front of
// the server at upstream (host:port).
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

// Addr returns the address of the proxy, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close stops the proxy and all its connections, and waits for both.
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

// Set switches the proxy to fault f.
func (p *Proxy) Set(f Fault) { p.set(f, 0) }

// Delay sets Latency, with delay d.
func (p *Proxy) Delay(d time.Duration) { p.set(Latency, d) }

// Heal sets None.
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

// Met returns how often the current fault has interfered: a fault that affected no
// traffic proves nothing.
func (p *Proxy) Met() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.met
}

// now returns the current fault and delay, and a channel closed on change.
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

// each calls do for every open link.
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

// await blocks during a BlackHole and returns the fault that follows. It returns
// false when the proxy stops.
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

// pause delays a response by the latency. It returns false when the proxy stops.
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
		// During a BlackHole, this connection waits here and all others in the
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
