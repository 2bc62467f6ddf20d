package app_test

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/pizza/migrations/migrationstest"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/testkit/configtest"
	"example.com/pizza/services/order/internal/app"
)

func TestReadmeListsTheConfiguration(t *testing.T) {
	configtest.Tables(t, "../../../../docs/configuration.md", "order", reflect.TypeFor[app.Config]())
}

// The chart rejects what the service would reject.
func TestChartKnowsTheConfiguration(t *testing.T) {
	configtest.Rules(t, "../../../../helm/settings/order.json", reflect.TypeFor[app.Config]())
}

// A bad configuration stops the service at startup, and the error names every
// wrong variable.
func TestRunRefusesABadConfiguration(t *testing.T) {
	t.Parallel()
	environ := []string{
		"DB_HOST=localhost", "DB_READ_HOST=a replica", "DB_PORT=x", "DB_USER=order_svc", "DB_PASSWORD=", "JWT_SECRET=short",
		"MENU_BASE_URL=menu:9000", "MENU_TIMEOUT=0s", "BREAKER_MIN_REQUESTS=0", "BREAKER_FAILURE_RATIO=1.5", "SHOP_TIMEZONE=Mars/Olympus", "LOG_LEVEL=loud", "REQUEST_TIMEOUT=-1s", "QUOTE_MAX_STALE=-1h",
		"IDEMPOTENCY_TTL=0s",
		"ORDER_CONCURRENCY=-1", "ORDER_QUEUE=-1", "ORDER_QUEUE_WAIT=0s", "ORDER_RATE_PER_MEMBER=30", "CACHE_URL=cache:6379",
	}
	err := app.Run(t.Context(), environ, &bytes.Buffer{})
	for _, name := range []string{
		"DB_READ_HOST", "DB_PORT", "DB_NAME", "DB_PASSWORD", "JWT_SECRET", "MENU_BASE_URL", "MENU_TIMEOUT", "BREAKER_MIN_REQUESTS", "BREAKER_FAILURE_RATIO", "SHOP_TIMEZONE", "LOG_LEVEL", "REQUEST_TIMEOUT", "QUOTE_MAX_STALE",
		"IDEMPOTENCY_TTL", "ORDER_CONCURRENCY", "ORDER_QUEUE ", "ORDER_QUEUE_WAIT", "ORDER_RATE_PER_MEMBER", "CACHE_URL",
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not reported:\n%v", name, err)
		}
	}
}

// Individually valid values must not contradict each other.
func TestRunRefusesValuesThatContradict(t *testing.T) {
	t.Parallel()
	good := []string{"DB_HOST=localhost", "DB_NAME=pizza", "DB_USER=order_svc", "DB_PASSWORD=x", "JWT_SECRET=" + secret, "MENU_BASE_URL=" + nowhere}
	for name, test := range map[string]struct {
		environ []string
		ok      bool
	}{
		"defaults":           {nil, true},
		"half_of_two":        {[]string{"DB_MAX_CONNS=2"}, true},
		"one_left":           {[]string{"DB_MAX_CONNS=4", "ORDER_CONCURRENCY=3"}, true},
		"none_left":          {[]string{"DB_MAX_CONNS=4", "ORDER_CONCURRENCY=4"}, false},
		"one_for_everybody":  {[]string{"DB_MAX_CONNS=1"}, false},
		"longest_call":       {[]string{"MENU_TIMEOUT=10s"}, true},
		"call_too_long":      {[]string{"MENU_TIMEOUT=11s"}, false},
		"wait_to_the_end":    {[]string{"REQUEST_TIMEOUT=2s", "ORDER_QUEUE_WAIT=2s"}, false},
		"wait_within_budget": {[]string{"REQUEST_TIMEOUT=2s", "ORDER_QUEUE_WAIT=1s"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := config.Load[app.Config](append(slices.Clone(good), test.environ...)); (err == nil) != test.ok {
				t.Errorf("accepted %v: %v", !test.ok, err)
			}
		})
	}
}

// The schema version that this build requires is one that the migrations reach.
func TestSchemaVersionExists(t *testing.T) {
	t.Parallel()
	var newest int
	err := admin(t, migrationstest.New(t)).QueryRow(t.Context(), "SELECT max(version_id) FROM schema_version_order WHERE is_applied").Scan(&newest)
	if err != nil || app.SchemaVersion > newest {
		t.Errorf("this build needs %d, the migrations end at %d: %v", app.SchemaVersion, newest, err)
	}
}
