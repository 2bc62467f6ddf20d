// Package nats carries events by NATS JetStream, for when they outgrow the
// database.
//
// An event is a message on events.<partition>.<type> in the stream EVENTS. The
// partition is a hash of the event's subject, and each consumer has one durable
// pull consumer per partition with one message in work: that is how a subject
// keeps its order across all instances of a consumer. An event that backs off
// holds back its partition, which is a little more than its subject.
//
// The server never gives up on a message by itself, because nobody would see
// it: after MaxAttempts the transport copies the message to the stream
// EVENTS_PARKED, on events_parked.<consumer>.<type> with the error in a header,
// and only then takes it out of delivery.
package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/fault"
)

// Names of the streams, and first words of what they hold.
const (
	Stream        = "EVENTS"
	ParkedStream  = "EVENTS_PARKED"
	subjects      = "events"
	parkedSubject = "events_parked"
)

// Headers of a message that was set aside.
const (
	ErrorHeader    = "Events-Error"
	AttemptsHeader = "Events-Attempts"
)

// partitions is how many events a consumer can have in work at a time. A change
// mixes up the order of what is on its way.
const partitions = 8

// duplicates is how long the server knows an id. It costs memory per event;
// what comes later than that is the inbox's.
const duplicates = time.Hour

const (
	requestTime = 5 * time.Second // for one request to the server
	ackTime     = 5 * time.Second // to report on an event after the handler's time
	pullTime    = 5 * time.Second // of one request for a message; a server that forgot it is noticed as fast
	retryWait   = 200 * time.Millisecond
	retryJitter = 300 * time.Millisecond
)

// Transport is events on a NATS server.
type Transport struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	config   events.Config
	replicas int
	backoff  events.Backoff
	log      *slog.Logger
	metrics  *events.ConsumerMetrics

	mu    sync.Mutex
	ready bool // the streams are there
}

var _ events.Transport = (*Transport)(nil)

// New returns a transport to the servers in url, a comma-separated list. They
// need not be there yet: it connects, and connects again, for as long as it
// takes. name is the client's name in the server's monitoring; replicas is how
// many servers of a cluster keep a copy of each event. Close it after use.
func New(
	url, name string, replicas int, c events.Config, log *slog.Logger, m *events.ConsumerMetrics,
) (*Transport, error) {
	conn, err := nats.Connect(url,
		nats.Name(name),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(retryWait),
		nats.ReconnectJitter(retryJitter, retryJitter),
		nats.ReconnectBufSize(-1), // who publishes must know that it did not go out
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when it was closed
				log.Warn("nats disconnected", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("nats failed", "error", err) }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("nats connected again") }),
	)
	if err != nil {
		return nil, errors.New("the NATS address cannot be used") // the cause may repeat a password
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	return &Transport{
		conn: conn, js: js, config: c, replicas: replicas,
		backoff: events.Backoff{Base: c.RetryBase, Max: c.RetryMax}, log: log, metrics: m,
	}, nil
}

// Close ends the connection. Subscriptions should have ended before.
func (t *Transport) Close() { t.conn.Close() }

// prepare makes the streams, or brings them to the current settings.
func (t *Transport) prepare(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ready {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for _, c := range []jetstream.StreamConfig{
		{
			Name: Stream, Description: "What happened", Subjects: []string{subjects + ".>"},
			Storage: jetstream.FileStorage, Replicas: t.replicas, MaxAge: t.config.Retention,
			Duplicates: min(duplicates, t.config.Retention),
		},
		{
			Name: ParkedStream, Description: "Events that a consumer could not handle", Subjects: []string{parkedSubject + ".>"},
			Storage: jetstream.FileStorage, Replicas: t.replicas,
		},
	} {
		if err := t.createOrUpdate(ctx, c); err != nil {
			return fmt.Errorf("stream %s: %w", c.Name, err)
		}
	}
	t.ready = true
	return nil
}

// createOrUpdate creates a stream, or brings an existing one to these settings. It never
// lowers the number of copies: a program with a lower setting than the others would make
// the events of all of them depend on a single server.
func (t *Transport) createOrUpdate(ctx context.Context, c jetstream.StreamConfig) error {
	_, err := t.js.CreateStream(ctx, c)
	if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return err // nil, too, if the stream exists with the same settings
	}
	existing, err := t.js.Stream(ctx, c.Name)
	if err != nil {
		return err
	}
	c.Replicas = max(c.Replicas, existing.CachedInfo().Config.Replicas)
	_, err = t.js.UpdateStream(ctx, c)
	return err
}

// forget makes the next use prepare the streams again: the server is another one.
func (t *Transport) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready = false
}

// partition is where an event belongs. Events without a subject have no order
// and go anywhere.
func partition(e events.Event) int {
	key := e.Subject
	if key == "" {
		key = e.ID
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return int(h.Sum32() % partitions)
}

func subject(partition int, eventType string) string {
	return subjects + "." + strconv.Itoa(partition) + "." + eventType
}

// Publish returns when the server has the events on disk.
func (t *Transport) Publish(ctx context.Context, all ...events.Event) error {
	if err := t.prepare(ctx); err != nil {
		return away(err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for _, e := range all {
		if err := t.publish(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *Transport) publish(ctx context.Context, e events.Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "not an event")
	}
	m := &nats.Msg{
		Subject: subject(partition(e), e.Type), Data: body,
		Header: nats.Header{"Content-Type": {events.ContentType}},
	}
	_, err = t.js.PublishMsg(ctx, m, jetstream.WithMsgID(e.Source+" "+e.ID), jetstream.WithExpectStream(Stream))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return fault.Wrap(err, fault.TooLarge, "the event is too large")
	}
	t.forget()
	return away(fmt.Errorf("publish event: %w", err))
}

func away(err error) error {
	return fault.Wrap(err, fault.Unavailable, "the events cannot be reached; try again").Retry(requestTime)
}

// Subscribe works as events.Transport says.
func (t *Transport) Subscribe(ctx context.Context, consumer string, types []string, handle events.Handler) error {
	if err := events.Subscription(consumer, types); err != nil {
		return err
	}
	t.metrics.Start(consumer)
	var all errgroup.Group
	for p := range partitions {
		s := subscription{Transport: t, consumer: consumer, handle: handle, log: t.log.With("consumer", consumer, "partition", p)}
		filter := make([]string, len(types))
		for i, eventType := range types {
			filter[i] = subject(p, eventType)
		}
		all.Go(func() error {
			s.run(ctx, jetstream.ConsumerConfig{
				Durable: consumer + "-" + strconv.Itoa(p), FilterSubjects: filter,
				DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
				AckWait: t.config.HandlerTimeout + ackTime, MaxAckPending: 1, MaxDeliver: -1,
			})
			return nil
		})
	}
	return all.Wait()
}

// subscription is one partition of one instance of a consumer.
type subscription struct {
	*Transport
	consumer string
	handle   events.Handler
	log      *slog.Logger
}

// run consumes until ctx ends. The client gets over a broken connection by
// itself; here is what it does not, such as a consumer that somebody deleted.
func (s *subscription) run(ctx context.Context, c jetstream.ConsumerConfig) {
	for failures := 1; ctx.Err() == nil; failures++ {
		worked, err := s.consume(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if worked {
			failures = 1
		}
		s.log.WarnContext(ctx, "events not consumed; trying again", "error", err, "failures", failures)
		s.forget()
		events.Pause(ctx, s.backoff.Delay(failures), nil)
	}
}

// consume handles one message after the other. worked reports whether there was one.
func (s *subscription) consume(ctx context.Context, c jetstream.ConsumerConfig) (worked bool, err error) {
	if err := s.prepare(ctx); err != nil {
		return false, err
	}
	making, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	consumer, err := s.js.CreateOrUpdateConsumer(making, Stream, c)
	if err != nil {
		return false, fmt.Errorf("consumer: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullTime))
	if err != nil {
		return false, fmt.Errorf("pull: %w", err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return worked, fmt.Errorf("next message: %w", err)
		}
		worked = true
		if err := s.take(ctx, m); err != nil {
			// Not acknowledged, so it comes again.
			s.log.WarnContext(ctx, "event not acknowledged", "error", err)
		}
	}
}

// take handles one message and tells the server what became of it.
func (s *subscription) take(ctx context.Context, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	attempts := int(meta.NumDelivered) //nolint:gosec // deliveries are few
	log := s.log.With("seq", meta.Sequence.Stream, "attempts", attempts)
	// A handler that takes the process down with it never returns an error.
	// Restarts count as well, hence twice.
	if attempts > 2*s.config.MaxAttempts {
		return s.park(ctx, log, m, attempts, errors.New("delivered many times and never finished"))
	}
	failure := s.call(ctx, m)
	switch {
	case failure == nil:
		acked, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTime)
		defer cancel()
		if err := m.DoubleAck(acked); err != nil {
			return err
		}
		s.metrics.Handled(s.consumer)
		return nil
	case ctx.Err() != nil:
		return m.Nak() // stopped, not failed: the next instance has it at once
	case attempts >= s.config.MaxAttempts:
		return s.park(ctx, log, m, attempts, failure)
	}
	log.WarnContext(ctx, "event not handled", "error", failure)
	s.metrics.Failed(s.consumer)
	return m.NakWithDelay(s.backoff.Delay(attempts))
}

// call runs the handler within its time.
func (s *subscription) call(ctx context.Context, m jetstream.Msg) error {
	var e events.Event
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.config.HandlerTimeout)
	defer cancel()
	return s.handle(ctx, e)
}

// park copies a message to the stream of those set aside, once, and then takes
// it out of delivery.
func (s *subscription) park(ctx context.Context, log *slog.Logger, m jetstream.Msg, attempts int, failure error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTime)
	defer cancel()
	id := m.Headers().Get(nats.MsgIdHdr)
	_, eventType, _ := strings.Cut(strings.TrimPrefix(m.Subject(), subjects+"."), ".")
	aside := &nats.Msg{
		Subject: parkedSubject + "." + s.consumer + "." + eventType, Data: m.Data(),
		Header: nats.Header{
			"Content-Type": {events.ContentType},
			ErrorHeader:    {strings.Join(strings.Fields(failure.Error()), " ")}, // a header is one line
			AttemptsHeader: {strconv.Itoa(attempts)},
		},
	}
	if _, err := s.js.PublishMsg(ctx, aside, jetstream.WithMsgID(s.consumer+"/"+id)); err != nil {
		return errors.Join(fmt.Errorf("set aside: %w", err), m.NakWithDelay(s.backoff.Delay(attempts)))
	}
	log.ErrorContext(ctx, "event parked", "event_id", id, "error", failure)
	s.metrics.Parked(s.consumer)
	return m.TermWithReason("set aside")
}
