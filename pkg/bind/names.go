package bind

import (
	"errors"

	"example.com/pizza/pkg/fault"
)

// Names remembers under which name the caller sent a field that has two, keyed
// by the name that the service behind uses.
type Names map[string]string

// Pick returns the value that is there, the first where both are, and remembers
// its name.
func Pick[T any](n Names, name string, v *T, alias string, other *T) *T {
	if v == nil && other != nil {
		n[name] = alias
		return other
	}
	return v
}

// Sent returns the name that the caller used.
func (n Names) Sent(name string) string {
	if sent, ok := n[name]; ok {
		return sent
	}
	return name
}

// Restore returns err with its fields named as the caller named them.
func (n Names) Restore(err error) error {
	var e *fault.Error
	if len(n) == 0 || !errors.As(err, &e) || len(e.Fields) == 0 {
		return err
	}
	fields := make([]fault.Field, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = fault.Field{Field: n.Sent(f.Field), Message: f.Message}
	}
	return fault.InvalidFields(fields...)
}
