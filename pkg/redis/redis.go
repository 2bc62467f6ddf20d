// Package redis connects a service to the Redis that CACHE_URL names.
//
// Data in Redis can be lost at any time: the database has the truth, and a process can count
// alone. So a client of Open tries once, gives up soon, and logs nothing. Its user continues
// without Redis, and logs that once.
package redis

import (
	"errors"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Config is the address of Redis.
type Config struct {
	URL     string        `env:"CACHE_URL" rule:"url=redis|rediss" doc:"Redis through which replicas share the menu and the counts of rate limits: redis://[user:password@]host:port/db, or rediss:// for TLS; empty is none"`
	Timeout time.Duration `env:"CACHE_TIMEOUT" envDefault:"250ms" rule:"positive" doc:"Maximum wait for Redis before the service continues without it"`
}

// Validate reports an address that the client cannot parse. The error
// does not repeat the address, which may hold a password.
func (c Config) Validate() error { return checkURL(c.URL) }

// checkURL does not repeat the address, which may hold a password.
func checkURL(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "redis" && u.Scheme != "rediss") || u.Hostname() == "" {
		return errors.New("CACHE_URL must be redis://host:port/db or rediss://host:port/db, or empty")
	}
	if _, err := redis.ParseURL(address); err != nil {
		return errors.New("CACHE_URL is not understood: its port, database number or options are wrong")
	}
	return nil
}

// The client would write a line to stderr for each attempt. Users of this package log once.
func init() { logging.Disable() }

// Open returns a client, which must be closed. Redis need not be up. The timeout applies
// separately to a free connection, a new one, the request and the answer. A caller can set
// a shorter deadline.
func Open(c Config) (*redis.Client, error) {
	o, err := redis.ParseURL(c.URL)
	if err != nil {
		return nil, errors.New("CACHE_URL is not understood")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = c.Timeout, c.Timeout, c.Timeout, c.Timeout
	o.MaxRetries, o.DialerRetries = -1, 1 // there is another way: rather that than another wait
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.ContextTimeoutEnabled = true
	return redis.NewClient(o), nil
}
