package bind

import (
	"errors"

	"example.com/pizza/pkg/fault"
)

// Names maps the names of fields in the service to the names under which they were
// sent.
type Names map[string]string

// Pick returns the value that was sent, or the first if both were, and records its
// name.
func Pick[T any](n Names, name string, v *T, alias string, other *T) *T {
	if v == nil && other != nil {
		n[name] = alias
		return other
	}
	return v
}

// Sent returns the name under which a field was sent.
func (n Names) Sent(name string) string {
	if sent, ok := n[name]; ok {
		return sent
	}
	return name
}

// Restore returns err with its fields named as they were sent.
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
