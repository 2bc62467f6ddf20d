package kitchen_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.com/pizza/deploy/local/internal/kitchen"
	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/events/nats"
	"example.com/pizza/pkg/testkit/eventstest"
	"example.com/pizza/pkg/testkit/natsserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func placed() events.Event {
	return events.Event{
		ID: "1", Source: "/order", Type: "order.created", Subject: "0199",
		Data: json.RawMessage(`{"order_id":"0199","member_id":"hong","bran_id":"BRANCH001","total_price":42.25,
			"created_at":"2026-11-22T09:30:05Z","lines":[{"pizza_id":"bbq_ckn_l","quantity":1,"unit_price":20.75},
			{"pizza_id":"hawaiian_s","quantity":12,"unit_price":10.75}]}`),
	}
}

const ticket = "kitchen BRANCH001  order 0199\n   1 x bbq_ckn_l\n  12 x hawaiian_s\n"

func TestTake(t *testing.T) {
	t.Parallel()
	t.Run("an event that comes twice is one ticket", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		k := kitchen.New(&out)
		for range 2 {
			if err := k.Take(t.Context(), placed()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(ticket, out.String()); diff != "" {
			t.Errorf("tickets (-want +got):\n%s", diff)
		}
	})
	t.Run("a ticket that was not printed is asked for again", func(t *testing.T) {
		t.Parallel()
		var out bytes.Buffer
		k := kitchen.New(&outOfPaper{Writer: &out})
		if err := k.Take(t.Context(), placed()); err == nil {
			t.Error("no paper, no error")
		}
		if err := k.Take(t.Context(), placed()); err != nil || out.String() != ticket {
			t.Errorf("second attempt: %v, %q", err, out.String())
		}
	})
	t.Run("control characters are escaped", func(t *testing.T) {
		t.Parallel()
		e := placed()
		e.Data = json.RawMessage(`{"order_id":"0199\u001b]0;title\u0007","bran_id":"B\r\nkitchen B2  order 7","lines":[
			{"pizza_id":"\u001b[2Jbbq\u202e\u009b1A","quantity":-2147483648}]}`)
		var out bytes.Buffer
		if err := kitchen.New(&out).Take(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		want := `kitchen B\r\nkitchen B2  order 7  order 0199\x1b]0;title\a` + "\n" + `  -2147483648 x \x1b[2Jbbq\u202e\u009b1A` + "\n"
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("ticket (-want +got):\n%s", diff)
		}
	})
	t.Run("what is no order is refused", func(t *testing.T) {
		t.Parallel()
		e := placed()
		e.Data = json.RawMessage(`"pizza"`)
		if err := kitchen.New(io.Discard).Take(t.Context(), e); err == nil {
			t.Error("printed")
		}
	})
}

// outOfPaper fails the first time.
type outOfPaper struct {
	io.Writer
	filled bool
}

func (p *outOfPaper) Write(b []byte) (int, error) {
	if !p.filled {
		p.filled = true
		return 0, errors.New("out of paper")
	}
	return p.Writer.Write(b)
}

// The order was placed before the kitchen opened.
func TestRun(t *testing.T) {
	t.Parallel()
	server, err := natsserver.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	transport, err := nats.New(server.URL(), "test", 1, eventstest.Config(),
		slog.New(slog.DiscardHandler), events.NewConsumerMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	defer transport.Close()
	if err := transport.Publish(t.Context(), placed()); err != nil {
		t.Fatal(err)
	}
	ctx, closeKitchen := context.WithCancel(t.Context())
	defer closeKitchen()
	var out strings.Builder
	if err := kitchen.New(&closing{&out, closeKitchen}).Run(ctx, transport); err != nil {
		t.Fatal(err)
	}
	if out.String() != ticket {
		t.Errorf("printed %q", out.String())
	}
}

// closing closes the kitchen after the first ticket.
type closing struct {
	io.Writer
	close func()
}

func (c *closing) Write(b []byte) (int, error) {
	defer c.close()
	return c.Writer.Write(b)
}
