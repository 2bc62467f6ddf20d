package redis_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/redis"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"": true, "redis://cache:6379": true, "rediss://user:secret@cache:6380/1": true, "redis://cache": true,
		"cache:6379": false, "http://cache": false, "unix:///run/redis": false, "redis://": false, "redis://cache/x": false, "redis://cache:port": false, "%": false,
		"redis://user:secret@cache:port": false,
	} {
		_, err := config.Load[redis.Config]([]string{"CACHE_URL=" + url})
		if (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v tells the secret", err)
		}
	}
	if _, err := config.Load[redis.Config]([]string{"CACHE_TIMEOUT=0s"}); err == nil {
		t.Error("a time-out of 0 is taken")
	}
}

// A Redis that accepts connections but never answers costs only the timeout.
func TestSilent(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	client, err := redis.Open(redis.Config{URL: "redis://" + silent.Addr().String(), Timeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	began := time.Now()
	if err := client.Ping(context.Background()).Err(); err == nil {
		t.Error("it has answered")
	}
	// The bound is the default of go-redis.
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
}
