// Package app puts the order service together: configuration, and the one
// straight line of wiring that main and the component tests share.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

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
const SchemaVersion = 30

// Config is the configuration of the order service.
type Config struct {
	HTTP   server.Config
	Log    logging.Config
	Traces telemetry.Config
	DB     pg.Config
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

// Limits are how often one member may do what.
type Limits struct {
	Order ratelimit.Rate `env:"ORDER_RATE_PER_MEMBER" envDefault:"30/m" doc:"Most orders of one member: 30/m is 30 at once and then one every 2 seconds. More than people place, and no room for a program that has gone wild. An order that was placed before and is asked for again by its key does not count. 0 or off is no limit"`
	Read  ratelimit.Rate `env:"ORDER_READ_RATE_PER_MEMBER" envDefault:"120/m" doc:"Maximum reads of its own orders by one member: 120/m is 120 at once and then 2 a second, enough for a phone that polls. 0 or off is no limit"`
}

// Shop is what the service knows of the shops that it takes orders for.
type Shop struct {
	TimeZone string `env:"SHOP_TIMEZONE" envDefault:"Asia/Seoul" doc:"Time zone in which the date and time of an order are written (IANA name)"`
}

// Validate reports a time zone that nobody knows.
func (s Shop) Validate() error {
	if _, err := time.LoadLocation(s.TimeZone); err != nil {
		return errors.New(`SHOP_TIMEZONE is not a time zone (such as "Asia/Seoul")`)
	}
	return nil
}

// outbox is where the store leaves what happened to orders.
func outbox() events.Outbox {
	return events.Outbox{Table: "order_outbox", Source: "/order"}
}

// App is a wired service.
type App struct {
	Server *server.Server
	pool   *pgxpool.Pool
	menu   *menuclient.Client
	quotes *quotecache.Cache
	events *connect.Publisher
	traces *telemetry.Tracing
	counts *ratelimit.Counters

	stop       context.CancelFunc // ends what runs in the background
	background sync.WaitGroup
}

// New wires the service. It does not need database or menu to be there.
func New(ctx context.Context, c Config, log *slog.Logger) (*App, error) {
	zone, err := time.LoadLocation(c.Shop.TimeZone)
	if err != nil {
		return nil, err
	}
	registry := server.NewRegistry()
	keys, err := token.Open(c.Token, log, registry, time.Now)
	if err != nil {
		return nil, err
	}
	pool, err := pg.Open(ctx, c.DB, "order", registry)
	if err != nil {
		return nil, err
	}
	menu, err := menuclient.New(c.Menu, log, registry)
	if err != nil {
		pool.Close()
		return nil, err
	}
	traces, err := telemetry.Start(ctx, c.Traces, telemetry.Process{Service: "order", Version: c.Log.Version, Environment: c.Log.Environment}, log, registry)
	if err != nil {
		pool.Close()
		return nil, err
	}
	publisher, err := connect.NewPublisher(ctx, c.Events, c.DB, "order", outbox(), log, registry, traces)
	if err != nil {
		traces.Close()
		pool.Close()
		return nil, err
	}
	counts, err := ratelimit.Open(c.Cache, log, registry, time.Now)
	if err != nil {
		publisher.Close()
		traces.Close()
		pool.Close()
		return nil, err
	}
	store := postgres.NewStore(pool, publisher.Wake)
	ready := health.New(pg.SchemaCheck(pool, "schema_version_order", SchemaVersion))
	placing, reading := c.shares()
	quotes := quotecache.New(menu, c.Quote, log, registry)
	orders := order.NewService(quotes, store,
		order.Bounds{Gate: admission.New("order", placing, log, registry), Limit: counts.Limit("order", "member", c.Limits.Order)},
		order.Bounds{Gate: admission.New("order_read", reading, log, registry), Limit: counts.Limit("order_read", "member", c.Limits.Read)},
		zone, time.Now, registry)
	s := server.New(c.HTTP, log, ready, registry, traces)
	if err := httpapi.Register(s, orders, keys.Keys, registry); err != nil {
		counts.Close()
		publisher.Close()
		pool.Close()
		traces.Close()
		return nil, err
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // until Close: a stopping service still answers
	a := &App{Server: s, pool: pool, menu: menu, quotes: quotes, events: publisher, counts: counts, traces: traces, stop: stop}
	a.background.Go(func() { quotes.Run(working) })
	cleaner := idempotency.New(store, c.Idempotency, log, registry)
	a.background.Go(func() { cleaner.Run(working) })
	a.background.Go(func() { keys.Run(working) })
	a.background.Go(func() { publisher.Run(working) })
	return a, nil
}

// Close ends what runs in the background, and gives the connections back.
func (a *App) Close() {
	a.stop()
	a.background.Wait()
	a.quotes.Close()
	a.events.Close()
	a.counts.Close()
	a.menu.Close()
	a.pool.Close()
	a.traces.Close() // last, when there is nothing more to record
}

// Run is the service from configuration to the end of ctx.
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
