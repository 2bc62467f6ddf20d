// Package notify listens to a PostgreSQL channel (LISTEN, NOTIFY) for as long as
// a process lives.
//
// A notification reaches whoever is listening at the moment of the sender's
// commit, and nobody else: what is sent while the connection is broken is gone.
// So Handler tells three things apart. Connected: from now on nothing is missed,
// and what came before must be read from the tables. Notified: something
// happened. Lost: what the process knows may be out of date until Connected.
package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Handler is told what happens on a channel, one call at a time; nil functions
// are left out. A handler must not block for long: notifications wait for it.
type Handler struct {
	// Connected is called whenever listening begins, the first time too.
	Connected func(ctx context.Context)
	// Notified is called for each notification.
	Notified func(ctx context.Context, payload string)
	// Lost is called when the connection broke, or could not be made.
	Lost func(err error)
}

const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second

	// A connection can die without a word. Each silence is followed by a ping,
	// so that it is noticed after silence plus pingTimeout at the latest.
	silence     = 10 * time.Second
	pingTimeout = 2 * time.Second
)

// Listen listens to a channel until ctx ends, on a connection of its own that
// is made like those of the pool. It connects again whenever the connection
// breaks, with a growing and jittered pause.
func Listen(ctx context.Context, pool *pgxpool.Pool, channel string, h Handler) {
	for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
		listened, err := listen(ctx, pool.Config().ConnConfig, channel, h)
		if ctx.Err() != nil {
			return
		}
		if h.Lost != nil {
			h.Lost(err)
		}
		if listened {
			pause = firstRetry
		}
		select {
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // spread, not a secret
		case <-ctx.Done():
		}
	}
}

// listen listens on one connection until it breaks. listened says whether it
// came to that.
func listen(ctx context.Context, config *pgx.ConnConfig, channel string, h Handler) (listened bool, err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, fmt.Errorf("connect to listen: %w", err)
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
		defer cancel()
		_ = conn.Close(closing) // broken or not needed any more
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{channel}.Sanitize()); err != nil {
		return false, fmt.Errorf("listen to %s: %w", channel, err)
	}
	if h.Connected != nil {
		h.Connected(ctx)
	}
	for {
		payload, err := next(ctx, conn)
		if err != nil {
			return true, err
		}
		if h.Notified != nil {
			h.Notified(ctx, payload)
		}
	}
}

// next waits for a notification, and makes sure meanwhile that there is still
// someone who could send one.
func next(ctx context.Context, conn *pgx.Conn) (payload string, err error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, silence)
		n, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil:
			return n.Payload, nil
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return "", fmt.Errorf("wait for a notification: %w", err)
		}
		ping, cancel := context.WithTimeout(ctx, pingTimeout)
		err = conn.Ping(ping)
		cancel()
		if err != nil {
			return "", fmt.Errorf("the listening connection is dead: %w", err)
		}
	}
}
