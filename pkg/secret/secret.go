// Package secret has the type of configuration values that must not be seen.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Blank stands for any secret wherever it would be shown.
const Blank = "[secret]"

// Text is a secret. Printed, logged or written as JSON, by itself or inside
// anything else, it shows Blank, or nothing when it is empty; its use is a
// conversion, string(t), that a reader can find.
type Text string

// Format is what package fmt shows, for each verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.shown()) }

// LogValue is what a log shows of it as a value of its own.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.shown()) }

// MarshalText is what JSON shows, and so a log of it inside of something.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.shown()), nil }

func (t Text) shown() string {
	if t == "" {
		return ""
	}
	return Blank
}
