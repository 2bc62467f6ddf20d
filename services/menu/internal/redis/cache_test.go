package redis_test

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"example.com/pizza/pkg/money"
	pkgredis "example.com/pizza/pkg/redis"
	"example.com/pizza/services/menu/internal/menu"
	"example.com/pizza/services/menu/internal/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, server *miniredis.Miniredis, log *strings.Builder) *redis.Cache {
	t.Helper()
	c, err := redis.New(pkgredis.Config{URL: "redis://" + server.Addr(), Timeout: 5 * time.Second},
		slog.New(slog.NewTextHandler(log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func catalog(mark string) *menu.Catalog {
	c := menu.NewCatalog(7,
		[]menu.Type{{ID: "a", Name: "불고기", Category: "한식", Image: "images/a.png"}, {ID: "b", Name: "B"}},
		[]menu.Pizza{{ID: "a_l", TypeID: "a", Size: "L", Price: money.MustParse("20.75")}})
	c.Mark = mark
	return c
}

func TestCache(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	server := miniredis.RunT(t)
	ctx, c := context.Background(), open(t, server, &log)
	put, want := "x", catalog("x")
	if got := c.Get(ctx, put); got != nil {
		t.Errorf("it has %+v before anything was put", got)
	}
	c.Put(ctx, want)
	mustHave := func(name string) {
		t.Helper()
		got := c.Get(ctx, put)
		if got == nil {
			t.Fatalf("%s: it has nothing", name)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(menu.Catalog{}), cmp.Comparer(money.Amount.Equal)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	mustHave("another_replica")
	if got := c.Get(ctx, "y"); got != nil {
		t.Errorf("another mark has %+v", got)
	}
	key := server.Keys()[0]
	if server.TTL(key) <= 0 {
		t.Error("an entry stays for ever")
	}
	entry, err := server.Get(key)
	if err != nil {
		t.Fatal(err)
	}

	for name, garbage := range map[string]string{
		"empty": "", "short": "x", "text": strings.Repeat("garbage", 20), "cut": entry[:len(entry)-1],
		"changed": strings.Replace(entry, "20.75", "10.75", 1),
	} {
		if err := server.Set(key, garbage); err != nil {
			t.Fatal(err)
		}
		if got := c.Get(ctx, put); got != nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	// A whole entry in the wrong place, and one of another type.
	c.Put(ctx, catalog("other"))
	foreign, err := server.Get(strings.TrimSuffix(key, put) + "other")
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Set(key, foreign); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(ctx, put); got != nil {
		t.Errorf("the catalog of another mark is taken: %+v", got)
	}
	server.Del(key)
	if _, err := server.Push(key, "a list"); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(ctx, put); got != nil {
		t.Errorf("a list is read as %+v", got)
	}
	c.Put(ctx, want)
	mustHave("written_again")
}

// Redis goes and comes back: nothing fails, and the log says so once each.
func TestCacheGone(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	server := miniredis.RunT(t)
	ctx, c := context.Background(), open(t, server, &log)
	c.Put(ctx, catalog("x"))
	server.Close()
	for range 3 {
		if got := c.Get(ctx, "x"); got != nil {
			t.Errorf("got %+v from nowhere", got)
		}
		c.Put(ctx, catalog("y"))
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	c.Put(ctx, catalog("z"))
	if c.Get(ctx, "z") == nil {
		t.Error("it does not work again")
	}
	if gone, back := strings.Count(log.String(), "does not answer"), strings.Count(log.String(), "answers again"); gone != 1 || back != 1 {
		t.Errorf("logged %d times that it is gone, %d times that it is back:\n%s", gone, back, log.String())
	}
}

// A Redis that takes connections and says nothing costs the time-out, no more.
func TestCacheSilent(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	c, err := redis.New(pkgredis.Config{URL: "redis://" + silent.Addr().String(), Timeout: 10 * time.Millisecond},
		slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	began := time.Now()
	if got := c.Get(t.Context(), "x"); got != nil {
		t.Errorf("got %+v", got)
	}
	// The bound is that of go-redis without any settings.
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}
