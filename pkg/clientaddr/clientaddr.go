// Package clientaddr finds out from which address a request comes when there are
// proxies between the client and us.
//
// A proxy appends the address that it was called from to X-Forwarded-For; what
// stands before that, anyone may have written. So the list is read from its end,
// beginning with the peer of the connection, for as long as each address is that
// of a proxy that the operator trusts: the first that is not is the client. By
// default nobody is trusted and the peer is the client, because a service that
// believes a header which no proxy sets lets every client choose its address.
package clientaddr

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"github.com/labstack/echo/v4"
)

// Config is who may tell an address.
type Config struct {
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" doc:"Address ranges of the proxies before this service, such as 10.0.0.0/8,fd00::/8, separated by commas: X-Forwarded-For is believed from them alone. By default from nobody, since it would let clients choose the address that they are limited by; behind a proxy all clients are then one"`
}

// Validate reports a range that has everyone in it: then every client could
// choose its address.
func (c Config) Validate() error {
	for _, p := range c.TrustedProxies {
		if !p.IsValid() || p.Bits() == 0 {
			return errors.New("TRUSTED_PROXIES must name the ranges of proxies, not everyone")
		}
	}
	return nil
}

type key struct{}

// Middleware puts the address of the client into the context of its request.
func (c Config) Middleware() echo.MiddlewareFunc {
	extract := c.extractor()
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(e echo.Context) error {
			r := e.Request()
			e.SetRequest(r.WithContext(context.WithValue(r.Context(), key{}, extract(r))))
			return next(e)
		}
	}
}

// extractor reads X-Forwarded-For through exactly the configured ranges. Where all
// of the list is trusted its first address is the client; where an address cannot
// be read it is not known who was there, and the peer stands for the client.
func (c Config) extractor() func(*http.Request) string {
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range c.TrustedProxies {
		p = p.Masked()
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// hostBits are the last bits of an IPv6 address that one client may choose: an
// access network gives out at least a /64 (RFC 6177).
const hostBits = 64

// Group returns what stands for one client of those that share nothing: its IPv4
// address, or the /64 of its IPv6 address. It is "" outside of Middleware.
func Group(ctx context.Context) string {
	s, _ := ctx.Value(key{}).(string)
	a, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, err := a.Prefix(a.BitLen() - hostBits)
	if err != nil {
		return s // never: the number of bits is a constant
	}
	return p.String()
}
