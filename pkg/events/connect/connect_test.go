package connect_test

import (
	"strings"
	"testing"

	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/events/connect"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environ []string
		wrong   string // in the error
	}{
		"postgres":       {nil, ""},
		"nats":           {[]string{"EVENTS_URL=nats://user:secret@a:4222, tls://b:4222", "EVENTS_REPLICAS=3"}, ""},
		"another_broker": {[]string{"EVENTS_URL=amqp://:secret@a"}, "EVENTS_URL"},
		"no_host":        {[]string{"EVENTS_URL=nats://a,secret"}, "EVENTS_URL"},
		"no_copy":        {[]string{"EVENTS_REPLICAS=0"}, "EVENTS_REPLICAS"},
		"kept_too_short": {[]string{"EVENTS_RETENTION=59m"}, "EVENTS_RETENTION"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load[connect.Config](test.environ)
			if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("error %v, want %q", err, test.wrong)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats the address: %v", err)
			}
		})
	}
}
