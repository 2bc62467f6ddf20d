package faultproxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// link is one connection through the proxy. Connection errors end it and are not
// reported, because the proxy is there to break connections.
type link struct {
	proxy          *Proxy
	client, server *net.TCPConn
	silent         atomic.Bool // bytes were dropped, so nothing may follow
}

// run forwards bytes in both directions until one side ends.
func (l *link) run() {
	defer l.close()
	var d net.Dialer
	server, err := d.DialContext(l.proxy.ctx, "tcp", l.proxy.upstream)
	if err != nil {
		l.reset()
		return
	}
	l.server = server.(*net.TCPConn)
	if !l.proxy.add(l) {
		return
	}
	defer l.proxy.remove(l)
	var requests sync.WaitGroup
	requests.Go(func() { l.pump(l.client, l.request) })
	l.pump(l.server, l.answer)
	requests.Wait()
}

// pump calls pass for every chunk that arrives, until pass returns false. Then the
// whole link ends, because HTTP does not use half-closed connections.
func (l *link) pump(from *net.TCPConn, pass func([]byte) bool) {
	defer l.close()
	piece := make([]byte, 32<<10)
	for {
		n, err := from.Read(piece)
		if n > 0 && !pass(piece[:n]) || err != nil {
			return
		}
	}
}

// request forwards a chunk from client to server.
func (l *link) request(piece []byte) bool {
	fault, ok := l.proxy.await()
	switch {
	case !ok:
		return false
	case l.silent.Load():
		return true
	case fault == HalfOpen:
		return l.swallow()
	case fault == Reset:
		l.proxy.meet()
		l.reset()
		return false
	case fault == ServerError:
		l.proxy.meet()
		l.refuse(piece)
		return false
	}
	_, err := l.server.Write(piece)
	return err == nil
}

// answer forwards a chunk from server to client.
func (l *link) answer(piece []byte) bool {
	if !l.proxy.pause() {
		return false
	}
	fault, ok := l.proxy.await()
	switch {
	case !ok:
		return false
	case l.silent.Load():
		return true
	case fault == HalfOpen:
		return l.swallow()
	case fault == Reset:
		l.proxy.meet()
		l.reset()
		return false
	case fault == Vanish:
		l.swallow()
		piece = piece[:len(piece)-1]
	}
	_, err := l.client.Write(piece)
	return err == nil
}

// swallow silences the link permanently.
func (l *link) swallow() bool {
	l.silent.Store(true)
	l.proxy.meet()
	return true
}

// refuse answers the request that begins with piece, and ends the connection. It
// reads the whole request first: closing a connection with unread bytes resets it,
// which can lose the response.
func (l *link) refuse(piece []byte) {
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(piece), l.client)))
	if err != nil {
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	const body = `{"status":500,"detail":"a fault of the test kit"}`
	_, _ = fmt.Fprintf(l.client, "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/problem+json\r\n"+
		"Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}

func (l *link) close() {
	_ = l.client.Close()
	if l.server != nil {
		_ = l.server.Close()
	}
}

// reset ends the client's connection with RST instead of FIN.
func (l *link) reset() {
	_ = l.client.SetLinger(0)
	l.close()
}

// add returns false if the proxy has stopped.
func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links[l] = struct{}{}
	return p.ctx.Err() == nil
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}
