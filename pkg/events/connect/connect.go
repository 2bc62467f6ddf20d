// Package connect opens the configured transport of events, PostgreSQL or NATS, and runs
// a publisher on it:
//
//	outbox ─ Publisher ─▶ PostgreSQL (default) or NATS JetStream (EVENTS_URL)
//
// It is the one place that knows both transports.
package connect

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"example.com/pizza/pkg/events"
	eventsnats "example.com/pizza/pkg/events/nats"
	eventspg "example.com/pizza/pkg/events/postgres"
	"example.com/pizza/pkg/postgres"
)

// Config selects the transport, and the retention of events.
type Config struct {
	URL       string        `env:"EVENTS_URL" doc:"NATS servers that carry events, such as nats://nats:4222, separated by commas; empty uses PostgreSQL"`
	Replicas  int           `env:"EVENTS_REPLICAS" envDefault:"1" doc:"NATS servers that store a copy of each event; a cluster of three with 3 survives the loss of one"`
	Retention time.Duration `env:"EVENTS_RETENTION" envDefault:"168h" doc:"Time for which events are kept, at least 1h: for new consumers, to recognize duplicates, and for inspection"`
}

// Validate reports invalid addresses and bounds.
func (c Config) Validate() error {
	var bad []error
	if c.Replicas < 1 || c.Replicas > 5 {
		bad = append(bad, errors.New("EVENTS_REPLICAS must be from 1 to 5"))
	}
	if c.Retention < time.Hour { // the database keeps everything for an hour
		bad = append(bad, errors.New("EVENTS_RETENTION must be at least 1h"))
	}
	if c.URL != "" {
		for address := range strings.SplitSeq(c.URL, ",") {
			u, err := url.Parse(strings.TrimSpace(address))
			if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls") {
				bad = append(bad, errors.New("EVENTS_URL must be nats:// or tls:// addresses, separated by commas")) // it may hold a password
				break
			}
		}
	}
	return errors.Join(bad...)
}

// Transport opens the transport for a process of this name. consumers is the pace of its
// subscriptions. pool is for PostgreSQL, and remains the caller's. The servers need not be
// up. Spans come from traces. closing closes the transport, after all subscriptions.
func Transport(
	c Config, consumers events.Config, name string, pool *pgxpool.Pool, log *slog.Logger, registry prometheus.Registerer,
	traces trace.TracerProvider,
) (t events.Transport, closing func(), err error) {
	t, closing, err = open(c, consumers, name, pool, log, registry)
	if err != nil {
		return nil, nil, err
	}
	return events.Traced(t, traces), closing, nil
}

func open(
	c Config, consumers events.Config, name string, pool *pgxpool.Pool, log *slog.Logger, registry prometheus.Registerer,
) (t events.Transport, closing func(), err error) {
	metrics := events.NewConsumerMetrics(registry)
	consumers.Retention = c.Retention
	if c.URL == "" {
		return eventspg.New(pool, consumers, log, metrics), func() {}, nil
	}
	broker, err := eventsnats.New(c.URL, name, c.Replicas, consumers, log, metrics)
	if err != nil {
		return nil, nil, err
	}
	return broker, broker.Close, nil
}

// Connections is the maximum number of database connections of a Publisher: one to hold a
// batch, one to publish, delete or measure. They are separate from those of requests, so
// that requests and events never wait for each other.
const Connections = 2

// Publisher moves the events of an outbox to the transport.
type Publisher struct {
	pool      *pgxpool.Pool
	relay     *events.Relay
	transport events.Transport
	close     func()
}

// NewPublisher returns a publisher of an outbox in the database of db, for a process of
// this name.
func NewPublisher(
	ctx context.Context, c Config, db postgres.Config, name string, o events.Outbox, log *slog.Logger, registry prometheus.Registerer,
	traces trace.TracerProvider,
) (*Publisher, error) {
	db.MaxConns = Connections
	pool, err := postgres.Open(ctx, db, name+"-events", registry)
	if err != nil {
		return nil, err
	}
	transport, closeTransport, err := open(c, events.Config{}, name, pool, log, registry)
	if err != nil {
		pool.Close()
		return nil, err
	}
	pace := events.RelayDefaults()
	pace.Retention = c.Retention
	relay := events.NewRelay(pool, o, events.Traced(transport, traces), pace, log, registry)
	return &Publisher{pool, relay, transport, closeTransport}, nil
}

// Run publishes until ctx ends, and returns after the current batch.
func (p *Publisher) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { p.relay.Run(ctx) })
	if kept, ok := p.transport.(*eventspg.Transport); ok {
		all.Go(func() { kept.Prune(ctx) })
	}
	all.Wait()
}

// Wake makes the publisher read the outbox now, for callers that have committed an event.
// It never blocks.
func (p *Publisher) Wake() { p.relay.Wake() }

// Close closes the connections, after Run.
func (p *Publisher) Close() {
	p.close()
	p.pool.Close()
}
