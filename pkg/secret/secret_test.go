package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/pizza/pkg/secret"
)

// A configuration never shows its secrets, in any format.
func TestText(t *testing.T) {
	t.Parallel()
	const hidden = "hunter2"
	type inner struct {
		Key  secret.Text
		More []secret.Text
	}
	type config struct {
		Inner inner
		Map   map[string]secret.Text
	}
	in := inner{hidden, []secret.Text{hidden}}
	c := config{in, map[string]secret.Text{"a": hidden}}
	for _, value := range []any{in.Key, in.More, in, &in, c, &c} {
		shown := map[string]string{}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			shown[verb] = fmt.Sprintf(verb, value)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		shown["json"] = string(text)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
		shown["slog"] = log.String()
		for how, text := range shown {
			if strings.Contains(text, hidden) || strings.Contains(text, fmt.Sprintf("%x", hidden)) {
				t.Errorf("%T by %s shows the secret: %s", value, how, text)
			}
		}
		for _, how := range []string{"json", "slog"} {
			if !strings.Contains(shown[how], secret.Blank) {
				t.Errorf("%T by %s does not say that there is one: %s", value, how, shown[how])
			}
		}
	}
}

// An unset secret is shown as unset, and a set one can be used.
func TestEmptyAndUse(t *testing.T) {
	t.Parallel()
	if shown := fmt.Sprint(secret.Text("")); shown != "" {
		t.Errorf("an empty one shows %q", shown)
	}
	if used := string(secret.Text("hunter2")); used != "hunter2" {
		t.Errorf("used as %q", used)
	}
}
