package ratelimit

import (
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/config"
)

func TestRateText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{
		"10/s": {Count: 10, Per: time.Second}, "10/m": {Count: 10, Per: time.Minute}, "1/h": {Count: 1, Per: time.Hour}, "5/d": {Count: 5, Per: 24 * time.Hour},
		"5/15m": {Count: 5, Per: 15 * time.Minute}, "10000/s": {Count: 10000, Per: time.Second}, "20000/s": {Count: 20000, Per: time.Second}, "1/24h": {Count: 1, Per: 24 * time.Hour}, "off": {}, "0": {}, "": {},
	} {
		var got Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.Off() != (want.Count == 0) {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"10", "/m", "m", "-1/m", "0/m", "1.5/m", "10/", "10/x", "10/w", "10/0s", "10/-1m", "10/999ms", "1/25h", "100000/s", "99999999999999999999/m", "10/m/m", "on",
	} {
		var got Rate
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestRateFromConfiguration(t *testing.T) {
	t.Parallel()
	type settings struct {
		Rate Rate `env:"LOGIN_RATE" envDefault:"10/m"`
	}
	for text, want := range map[string]Rate{"LOGIN_RATE=5/h": {Count: 5, Per: time.Hour}, "LOGIN_RATE=off": {}, "": {Count: 10, Per: time.Minute}} {
		if got, err := config.Load[settings]([]string{text}); err != nil || got.Rate != want {
			t.Errorf("%s is %+v, %v", text, got.Rate, err)
		}
	}
	if _, err := config.Load[settings]([]string{"LOGIN_RATE=ten"}); err == nil || !strings.Contains(err.Error(), "LOGIN_RATE must be a rate, such as 10/m") {
		t.Error(err)
	}
}

// An accepted rate can be counted: its count and period are within bounds.
func FuzzRate(f *testing.F) {
	for _, s := range []string{"10/m", "5/15m", "off", "0", "1/1h30m", "999999999/d", "1/1ns", "+1/s", "1//s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r Rate
		if r.UnmarshalText([]byte(text)) != nil || r.Off() {
			return
		}
		if r.Count < 1 || r.Per < time.Second || r.Per > 24*time.Hour || r.Per/time.Duration(r.Count) < time.Microsecond {
			t.Errorf("%q is %+v", text, r)
		}
	})
}
