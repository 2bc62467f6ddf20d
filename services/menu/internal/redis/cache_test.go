package redis_test

import (
	"context"
	"crypto/sha256"
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

// mark returns a mark of this environment's database.
func mark(id string) menu.Mark { return menu.Mark{ID: id, Key: []byte("the key in our database")} }

func catalog(m menu.Mark) *menu.Catalog {
	c := menu.NewCatalog(7,
		[]menu.Type{{ID: "a", Name: "불고기", Category: "한식", Image: "images/a.png"}, {ID: "b", Name: "B"}},
		[]menu.Pizza{{ID: "a_l", TypeID: "a", Size: "L", Price: money.MustParse("20.75")}})
	c.Mark = m
	return c
}

func TestCache(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	server := miniredis.RunT(t)
	ctx, c := context.Background(), open(t, server, &log)
	want := catalog(mark("x"))
	if got := c.Get(ctx, mark("x")); got != nil {
		t.Errorf("it has %+v before anything was put", got)
	}
	c.Put(ctx, want)
	mustHave := func(name string) {
		t.Helper()
		got := c.Get(ctx, mark("x"))
		if got == nil {
			t.Fatalf("%s: it has nothing", name)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(menu.Catalog{}), cmp.Comparer(money.Amount.Equal)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	mustHave("another_replica")
	if got := c.Get(ctx, mark("y")); got != nil {
		t.Errorf("another mark has %+v", got)
	}
	key := server.Keys()[0]
	if server.TTL(key) <= 0 {
		t.Error("an entry stays for ever")
	}
	server.Del(key)
	if _, err := server.Push(key, "a list"); err != nil {
		t.Fatal(err)
	}
	if got := c.Get(ctx, mark("x")); got != nil {
		t.Errorf("a list is read as %+v", got)
	}
	c.Put(ctx, want)
	mustHave("written_again")
}

// Write access to Redis is not enough to set a price.
func TestRedisIsNotBelieved(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	server := miniredis.RunT(t)
	ctx, c := context.Background(), open(t, server, &log)
	put := func(cat *menu.Catalog) (key, entry string) {
		t.Helper()
		server.FlushAll()
		c.Put(ctx, cat)
		key = server.Keys()[0]
		entry, err := server.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		return key, entry
	}
	_, old := put(catalog(mark("old")))
	_, foreign := put(catalog(menu.Mark{ID: "x", Key: []byte("the key of another database")}))
	_, unsigned := put(catalog(menu.Mark{ID: "x"}))
	key, good := put(catalog(mark("x")))
	body := strings.Replace(good[sha256.Size:], "20.75", "0.01", 1)
	checksum := sha256.Sum256([]byte(body))
	for name, entry := range map[string]string{
		"empty": "", "short": "x", "text": strings.Repeat("garbage", 20),
		"truncated": good[:len(good)-1], "signature_alone": good[:sha256.Size], "extended": good + " ", "body_alone": good[sha256.Size:],
		"price_changed":                         strings.Replace(good, "20.75", "10.75", 1),
		"price_changed_with_a_checksum":         string(checksum[:]) + body,
		"old_entry_under_a_new_mark":            old,
		"old_entry_with_the_new_mark_in_it":     strings.Replace(old, `"old"`, `"x"`, 1),
		"entry_of_another_environment":          foreign,
		"entry_that_was_signed_without_any_key": unsigned,
	} {
		if err := server.Set(key, entry); err != nil {
			t.Fatal(err)
		}
		if got := c.Get(ctx, mark("x")); got != nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
	if err := server.Set(key, good); err != nil {
		t.Fatal(err)
	}
	if c.Get(ctx, mark("x")) == nil {
		t.Error("the true entry is refused")
	}
	if got := c.Get(ctx, menu.Mark{ID: "x"}); got != nil {
		t.Errorf("without a key it reads %+v", got)
	}
}

// Redis fails and recovers: no call fails, and each change is logged once.
func TestCacheGone(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	server := miniredis.RunT(t)
	ctx, c := context.Background(), open(t, server, &log)
	c.Put(ctx, catalog(mark("x")))
	server.Close()
	for range 3 {
		if got := c.Get(ctx, mark("x")); got != nil {
			t.Errorf("got %+v from nowhere", got)
		}
		c.Put(ctx, catalog(mark("y")))
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	c.Put(ctx, catalog(mark("z")))
	if c.Get(ctx, mark("z")) == nil {
		t.Error("it does not work again")
	}
	if gone, back := strings.Count(log.String(), "cache unavailable"), strings.Count(log.String(), "cache available again"); gone != 1 || back != 1 {
		t.Errorf("logged %d times that it is gone, %d times that it is back:\n%s", gone, back, log.String())
	}
}

// A Redis that accepts connections but never responds costs only the timeout.
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
	if got := c.Get(t.Context(), mark("x")); got != nil {
		t.Errorf("got %+v", got)
	}
	// The bound is the default timeout of go-redis.
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}
