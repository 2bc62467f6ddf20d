// Package app wires the order service. main and the component tests share it.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"example.com/pizza/pkg/admission"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/connect"
	"example.com/pizza/pkg/health"
	"example.com/pizza/pkg/logging"
	pg "example.com/pizza/pkg/postgres"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/redis"
	"example.com/pizza/pkg/server"
	"example.com/pizza/pkg/telemetry"
	"example.com/pizza/pkg/token"
	"example.com/pizza/services/order/internal/httpapi"
	"example.com/pizza/services/order/internal/idempotency"
	"example.com/pizza/services/order/internal/menuclient"
	"example.com/pizza/services/order/internal/order"
	"example.com/pizza/services/order/internal/postgres"
	"example.com/pizza/services/order/internal/quotecache"
)

// SchemaVersion is the migration of the order tables that this build needs.
const SchemaVersion = 33

// Config is the configuration of the order service.
type Config struct {
	HTTP   server.Config
	Log    logging.Config
	Traces telemetry.Config
	DB     pg.Config
	Read   postgres.ReplicaConfig
	Token  token.Config
	Menu   menuclient.Config
	Quote  quotecache.Config
	Shop   Shop

	Events      connect.Config
	Idempotency idempotency.Config
	Admission   Admission
	Limits      Limits
	Cache       redis.Config
}

// Limits bound the requests of one member.
type Limits struct {
	Order ratelimit.Rate `env:"ORDER_RATE_PER_MEMBER" envDefault:"30/m" doc:"Maximum orders of one member: 30/m is 30 at once and then one every 2 seconds. More than people place, and too few for a runaway program. Repeated requests with the same Idempotency-Key do not count. 0 or off is no limit"`
	Read  ratelimit.Rate `env:"ORDER_READ_RATE_PER_MEMBER" envDefault:"120/m" doc:"Maximum reads of its own orders by one member: 120/m is 120 at once and then 2 a second, enough for a phone that polls. 0 or off is no limit"`
}

// Shop describes the shops that the service takes orders for.
type Shop struct {
	TimeZone string `env:"SHOP_TIMEZONE" envDefault:"Asia/Seoul" doc:"Time zone of the date and time of orders (IANA name)"`
}

// Validate reports an unknown time zone.
func (s Shop) Validate() error {
	if _, err := time.LoadLocation(s.TimeZone); err != nil {
		return errors.New(`SHOP_TIMEZONE must be an IANA time zone, such as "Asia/Seoul"`)
	}
	return nil
}

// outbox holds the events of orders until they are published.
func outbox() events.Outbox {
	return events.Outbox{Table: "order_outbox", Source: "/order"}
}

// App is a wired service.
type App struct {
	Server  *server.Server
	closers server.Closers
}

// New wires the service. Neither the database nor menu needs to be up.
func New(ctx context.Context, c Config, log *slog.Logger) (_ *App, err error) {
	zone, err := time.LoadLocation(c.Shop.TimeZone)
	if err != nil {
		return nil, err
	}
	a := &App{}
	defer func() {
		if err != nil {
			a.Close()
		}
	}()
	registry := server.NewRegistry()
	traces, err := telemetry.Start(ctx, c.Traces, telemetry.Process{Service: "order", Version: c.Log.Version, Environment: c.Log.Environment}, log, registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(traces.Close) // last, when no more spans end
	keys, err := token.Open(c.Token, log, registry, time.Now)
	if err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, c.DB, "order", registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(pool.Close)
	menu, err := menuclient.New(c.Menu, log, registry)
	if err != nil {
		return nil, err
	}
	a.closers.Add(menu.Close)
	counts, err := ratelimit.Open(c.Cache, log, registry, time.Now)
	if err != nil {
		return nil, err
	}
	a.closers.Add(counts.Close)
	publisher, err := connect.NewPublisher(ctx, c.Events, c.DB, "order", outbox(), log, registry, traces)
	if err != nil {
		return nil, err
	}
	a.closers.Add(publisher.Close)
	quotes := quotecache.New(menu, c.Quote, log, registry)
	a.closers.Add(quotes.Close)

	store := postgres.NewStore(pool, publisher.Wake)
	var reads order.Store = store
	if c.Read.Host != "" {
		replica, err := pg.OpenReplica(ctx, c.DB, c.Read.Host, "order_replica", registry)
		if err != nil {
			return nil, err
		}
		a.closers.Add(replica.Close)
		reads = postgres.NewReplicated(store, replica, log, registry, time.Now)
	}
	placing, reading := c.shares()
	handler := httpapi.New(order.NewService(quotes, reads, zone, time.Now), store,
		httpapi.Limits{Gate: admission.New("order", placing, log, registry), Limit: counts.Limit("order", "member", c.Limits.Order)},
		httpapi.Limits{Gate: admission.New("order_read", reading, log, registry), Limit: counts.Limit("order_read", "member", c.Limits.Read)},
		registry)
	a.Server = server.New(c.HTTP, log, health.New(pg.SchemaCheck(pool, "schema_version_order", SchemaVersion)), registry, traces)
	if err := handler.Mount(a.Server, keys.Keys); err != nil {
		return nil, err
	}
	cleaner := idempotency.NewCleaner(store, c.Idempotency, log, registry)
	a.closers.Add(server.Background(ctx, quotes.Run, cleaner.Run, keys.Run, publisher.Run))
	return a, nil
}

// Close ends the background work and closes all connections.
func (a *App) Close() { a.closers.Close() }

// Run loads the configuration and runs the service until ctx ends.
func Run(ctx context.Context, environ []string, stdout io.Writer) error {
	c, err := config.Load[Config](environ)
	if err != nil {
		return err
	}
	a, err := New(ctx, c, logging.New(c.Log, stdout, "order"))
	if err != nil {
		return err
	}
	defer a.Close()
	return a.Server.Run(ctx)
}
