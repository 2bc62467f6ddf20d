// Package clientaddr determines the address of a client behind proxies.
//
// A proxy appends the address of its peer to X-Forwarded-For. Anyone may have written the
// entries before. So the list is read from its end, beginning with the peer of the
// connection, while each address is that of a trusted proxy: the first other address is
// the client. By default no proxy is trusted and the peer is the client, because accepting
// a header that no proxy sets would let every client choose its address.
//
// X-Forwarded-For has no standard. Besides a plain address, an entry may have a
// port (203.0.113.9:40001, [2001:db8::1]:443), as Azure Application Gateway and
// others send, brackets, quotation marks and a zone, which are ignored. Any other entry
// (unknown, _hidden, an empty one) does not identify the client, so the proxy that reported
// it stands for all its clients. Forwarded (RFC 7239) and X-Real-IP are not read: a proxy
// that sets one header passes the others on as the client sent them.
package clientaddr

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// Config names the trusted proxies.
type Config struct {
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" doc:"Address ranges of the proxies in front of this service, such as 10.0.0.0/8,fd00::/8, separated by commas. X-Forwarded-For is accepted from them alone. Empty accepts it from no one: all clients behind a proxy then share their limits"`
}

// Validate reports a range of all addresses: every client could then choose its address.
func (c Config) Validate() error {
	for _, p := range c.TrustedProxies {
		if !p.IsValid() || p.Bits() == 0 {
			return errors.New("TRUSTED_PROXIES must name the ranges of proxies, not everyone")
		}
		if p.Addr().Is4In6() { // addresses are compared as IPv4, which no such range contains
			return errors.New("TRUSTED_PROXIES must write IPv4 ranges as IPv4, such as 10.0.0.0/8")
		}
	}
	return nil
}

type key struct{}

// Middleware puts the client's address into the context of its request.
func (c Config) Middleware() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(e echo.Context) error {
			r := e.Request()
			e.SetRequest(r.WithContext(context.WithValue(r.Context(), key{}, group(c.client(r), r.RemoteAddr))))
			return next(e)
		}
	}
}

// client returns the address of the client, or the zero Addr for a peer without one. If
// every address of the list is trusted, the first one is the client.
func (c Config) client(r *http.Request) netip.Addr {
	client := parse(r.RemoteAddr)
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		rest, more := lines[i], true
		for more {
			if !c.trusts(client) {
				return client
			}
			var entry string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, entry = rest[:comma], rest[comma+1:]
			} else {
				entry, more = rest, false
			}
			next := parse(entry)
			if !next.IsValid() {
				return client
			}
			client = next
		}
	}
	return client
}

func (c Config) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(c.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// parse reads an address with or without a port. It returns the zero Addr for
// anything else.
func parse(entry string) netip.Addr {
	entry = strings.Trim(entry, " \t")
	if n := len(entry); n > 1 && entry[0] == '"' && entry[n-1] == '"' {
		entry = entry[1 : n-1]
	}
	if a, err := netip.ParseAddrPort(entry); err == nil {
		return plain(a.Addr())
	}
	if n := len(entry); n > 1 && entry[0] == '[' && entry[n-1] == ']' {
		if entry = entry[1 : n-1]; !strings.Contains(entry, ":") {
			return netip.Addr{} // only IPv6 has brackets
		}
	}
	a, err := netip.ParseAddr(entry)
	if err != nil {
		return netip.Addr{}
	}
	return plain(a)
}

// plain returns the canonical form of an address: IPv4 in IPv6 becomes IPv4, and a zone,
// which has a meaning on one machine only, is removed.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// hostBits are the bits of an IPv6 address that one client can choose: access networks
// assign at least a /64 (RFC 6177).
const hostBits = 64

// group returns the key of the clients that share an address; see Group.
func group(a netip.Addr, peer string) string {
	switch {
	case !a.IsValid():
		return peer
	case a.Is4():
		return a.String()
	default:
		p, _ := a.Prefix(a.BitLen() - hostBits) // never fails: the number of bits is a constant
		return p.String()
	}
}

// Group returns the key under which a client is limited: its IPv4 address, or the /64 of its
// IPv6 address. It is "" outside of Middleware.
func Group(ctx context.Context) string {
	s, _ := ctx.Value(key{}).(string)
	return s
}
