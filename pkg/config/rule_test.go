package config_test

import (
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/ratelimit"
)

// kitchen has a variable of each kind that a rule knows.
type kitchen struct {
	Count    int            `env:"COUNT" rule:"min=1,max=120"`
	Big      uint32         `env:"BIG" rule:"min=7168,max=65536"`
	Any      int            `env:"ANY"`
	Perhaps  *int           `env:"PERHAPS" rule:"max=20"`
	Wait     time.Duration  `env:"WAIT"`
	Pause    time.Duration  `env:"PAUSE" envDefault:"1s" rule:"positive"`
	Share    float64        `env:"SHARE" rule:"positive"`
	On       bool           `env:"ON"`
	Mode     string         `env:"MODE" envDefault:"on" rule:"oneof=on|off"`
	Address  string         `env:"ADDRESS" rule:"url=http|https"`
	Origins  []string       `env:"ORIGINS" rule:"origin"`
	Networks []netip.Prefix `env:"NETWORKS"`
	Level    slog.Level     `env:"LEVEL"`
	Rate     ratelimit.Rate `env:"RATE"`
	Text     string         `env:"TEXT"`
}

func TestRules(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, good, bad string }{ // texts separated by spaces
		{"COUNT", "1 9 10 99 100 119 120", "0 121 200 1000 -1 1.5 1e3 +1 0x1 one 01"},
		{"BIG", "7168 7169 7200 8000 9999 10000 19456 65535 65536", "7167 7099 999 65537 65600 66000 70000 100000 0"},
		{"ANY", "0 1 99999999", "-1 1_000 2.0"},
		{"PERHAPS", "0 1 20", "21 -1 one"},
		{"WAIT", "0 0s 5s 1m30s 1.5h 250ms", "5 -5s s 1d 5,s"},
		{"PAUSE", "1s 0.5s 10ms", "0 0s 0m 0h0m 0.0s"},
		{"SHARE", "0.5 1 1.0 0.001", "0 0.0 1.1 2 -0.5 NaN .5 1e-3"},
		{"ON", "true false", "yes 1 on TRUE"},
		{"MODE", "on off", "On maybe onoff"},
		{"ADDRESS", "http://menu:9000 https://a", "menu:9000 ftp://a http:// nonsense"},
		{
			"ORIGINS", "https://pizza.example http://localhost:3000 https://[::1]:8443 *",
			"https://*.pizza.example https://pizza.example/ HTTPS://pizza.example https://Pizza.example pizza.example null",
		},
		{"NETWORKS", "10.0.0.0/8 fd00::/8 10.0.0.0/8,fd00::/8", "10.0.0.1 10.0.0.0/8,here /8 0.0.0.0/0 ::/0"},
		{"LEVEL", "debug INFO", "verbose 4 Info+2"},
		{"RATE", "10/m off 0 5/15m 1/1m30s", "10 m 10/ /m -1/m 1.5/m 10/week"},
		{"TEXT", "anything -1", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for text := range strings.FieldsSeq(test.good) {
				if _, err := config.Load[kitchen]([]string{test.name + "=" + text}); err != nil {
					t.Errorf("%q is refused: %v", text, err)
				}
			}
			for text := range strings.FieldsSeq(test.bad) {
				_, err := config.Load[kitchen]([]string{test.name + "=" + text})
				if err == nil || !strings.Contains(err.Error(), test.name) {
					t.Errorf("%q is accepted, or refused without the name: %v", text, err)
				}
			}
		})
	}
}

// Number patterns are exact for every number around their bounds.
func TestRuleBoundsAreExact(t *testing.T) {
	t.Parallel()
	for n := range 1200 {
		_, err := config.Load[struct {
			N int `env:"N" rule:"min=95,max=1009"`
		}]([]string{"N=" + strconv.Itoa(n)})
		if want := n >= 95 && n <= 1009; (err == nil) != want {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// A variable that violates its rule is reported once, without subsequent errors.
func TestOneProblemPerVariable(t *testing.T) {
	t.Parallel()
	_, err := config.Load[town]([]string{"SHOP_NAME=x", "SHOP_OVENS=many", "TOWN_SECRET=x"})
	if err == nil || strings.Count(err.Error(), "SHOP_OVENS") != 1 {
		t.Error(err)
	}
}
