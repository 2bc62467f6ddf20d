package api_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/services/order/api"
)

const (
	lines = `[{"pizza_id":"bbq_ckn_l","quantity":1,"unit_price":20.75},{"pizza_id":"hawaiian_s","quantity":2,"unit_price":10.75}]`
	data  = `{"order_id":"0199","member_id":"hong","bran_id":"BRANCH001","total_price":42.25,
		"created_at":"2026-11-22T09:30:05.123456+09:00","lines":` + lines + `}`
)

func created(data string) events.Event {
	return events.Event{
		ID: "018f", Source: "/order", Type: "order.created", Subject: "0199",
		Time: time.Date(2026, 11, 22, 9, 30, 5, 0, time.UTC), Data: json.RawMessage(data),
	}
}

// Events that package events writes match the document; altered ones do not.
func TestOrderCreated(t *testing.T) {
	t.Parallel()
	messages := apitest.NewMessages(t, api.Events)
	check := func(t *testing.T, e events.Event) error {
		t.Helper()
		body, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return messages.Check("order.created", body)
	}
	t.Run("without a trace", func(t *testing.T) {
		t.Parallel()
		if err := check(t, created(data)); err != nil {
			t.Error(err)
		}
	})
	t.Run("with a trace", func(t *testing.T) {
		t.Parallel()
		e := created(data)
		e.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		if err := check(t, e); err != nil {
			t.Error(err)
		}
	})
	for name, change := range map[string]struct{ from, to string }{
		"no member":             {`"member_id":"hong",`, ``},
		"a total that is text":  {`42.25`, `"42.25"`},
		"a tenth of a cent":     {`42.25`, `42.255`},
		"a time without zone":   {`+09:00`, ``},
		"no lines":              {lines, `[]`},
		"a line without price":  {`,"unit_price":20.75`, ``},
		"no pizza":              {`"quantity":2`, `"quantity":0`},
		"a negative unit price": {`10.75`, `-10.75`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(data, change.from, change.to, 1)
			if changed == data {
				t.Fatal("nothing was changed")
			}
			if check(t, created(changed)) == nil {
				t.Error("taken for an order.created")
			}
		})
	}
	t.Run("another type", func(t *testing.T) {
		t.Parallel()
		e := created(data)
		e.Type = "order.cancelled"
		if check(t, e) == nil {
			t.Error("taken for an order.created")
		}
	})
	t.Run("a message that the document does not have", func(t *testing.T) {
		t.Parallel()
		if messages.Check("order.cancelled", []byte("{}")) == nil {
			t.Error("taken")
		}
	})
}
