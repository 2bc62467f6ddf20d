// Package secret has a type for secret configuration values.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Blank replaces a secret in output.
const Blank = "[secret]"

// Text is a secret. Printed, logged or encoded as JSON, alone or inside another value, it
// shows Blank, or nothing if it is empty. Its use is a conversion, string(t), which a reader
// can find.
type Text string

// Format implements fmt.Formatter for every verb.
func (t Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.shown()) }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.shown()) }

// MarshalText implements encoding.TextMarshaler, for JSON and logs of other values.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.shown()), nil }

func (t Text) shown() string {
	if t == "" {
		return ""
	}
	return Blank
}
