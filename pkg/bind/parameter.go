package bind

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"example.com/pizza/pkg/fault"
)

// Parameters collects the bad parameters of a request.
type Parameters struct{ report }

// Reject records a bad parameter with its value.
func (p *Parameters) Reject(name, rule, sent string) {
	const most = 40 // characters that are repeated
	if cut := []rune(sent); len(cut) > most {
		sent = string(cut[:most]) + "…"
	}
	p.reject(name, fmt.Sprintf("%s, not %q", rule, sent))
}

// Err returns Invalid with every bad parameter, or nil.
func (p *Parameters) Err() error { return p.err() }

// Parameter reads a parameter with a function such as Whole or money.Parse, whose error
// is the rule that the parameter breaks. It returns fallback for an absent parameter.
func Parameter[T any](p *Parameters, name string, sent *string, fallback T, read func(string) (T, error)) T {
	if sent == nil {
		return fallback
	}
	v, err := read(*sent)
	if err != nil {
		p.Reject(name, err.Error(), *sent)
		return fallback
	}
	return v
}

// Whole returns a function that reads an integer within bounds.
func Whole(least, most int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most || strings.HasPrefix(s, "+") {
			return 0, fmt.Errorf("must be a whole number from %d to %d", least, most)
		}
		return n, nil
	}
}

// refusal matches the error of generated code for a parameter that it cannot bind.
var refusal = regexp.MustCompile(`^(?:Invalid format for parameter|Expected one value for|Header parameter) ([^ :,]+)(.*)`)

// ParameterFault converts the error of generated code for a parameter to a fault with
// field and rule, without the names of Go types. It returns nil for another message.
func ParameterFault(message string) error {
	m := refusal.FindStringSubmatch(message)
	if m == nil {
		return nil
	}
	rule := "cannot be read"
	switch {
	case strings.Contains(m[2], "is required"):
		rule = "is required"
	case strings.HasPrefix(message, "Expected one value"):
		rule = mustBeOnce
	}
	e := fault.InvalidFields(fault.Field{Field: m[1], Message: rule})
	e.Err = errors.New(message)
	return e
}
