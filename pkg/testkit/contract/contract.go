// Package contract holds both sides of a call to what the caller expects.
//
// A consumer writes down what it sends, and of the answers what it reads, in a
// file in the provider's folder. From there, the file is used twice:
//
//	Consume   serves the answers to the consumer's real client, which must send
//	          exactly what is written, and understand what it gets
//	Provide   sends the requests to the real provider, and looks in its answers
//	          for everything that the consumer reads
//
// So neither can drift from the other without a test failing, and none of the
// two needs the other to run. Events have the same two sides, Hear and Announce.
//
// The answer in a file is an example. Of the real answer, every field of the
// example is looked for, and must have the same JSON type; further fields are
// nobody's business. Where this is not enough, or too much, a rule says so:
//
//	exact      the same value
//	each       a list of any length but 0, each element as the example's only one
//	           (else: of the same length, each as its counterpart)
//	integer, date, time, date-time, uuid
//	^…$        text that the regular expression matches
//
// Rules are found by the path of their field, such as body.lines[].unit_price or
// headers.ETag. Headers of the answer must be the same; without a rule of
// theirs, that is exact.
package contract

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Contract is what one consumer expects of one provider.
type Contract struct {
	Consumer     string        `json:"consumer"`
	Provider     string        `json:"provider"`
	Interactions []Interaction `json:"interactions,omitempty"`
	Events       []Event       `json:"events,omitempty"`
}

// Interaction is one request, and what is read of its answer.
type Interaction struct {
	Name string `json:"name"`

	// Given is the state that the provider is in, in the words of its tests.
	Given string `json:"given"`
	// With are values that only the state knows, such as a token. ${name} stands
	// for them; here is what they are towards the consumer.
	With map[string]string `json:"with,omitempty"`

	Request  Request  `json:"request"`
	Response Response `json:"response"`

	between string // consumer and provider, for messages
}

// Request is what the consumer sends: Body as JSON, or Form as a form.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // with the query
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
	Form    map[string]string `json:"form,omitempty"`
}

// Response is what the consumer reads of the answer.
type Response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
	Match   map[string]string `json:"match,omitempty"` // rules by path
}

// Read reads a file. It returns an error for a field that is not known, for an
// interaction without a name of its own, and for an example that is not as its
// own rules say.
func Read(file string) (*Contract, error) {
	text, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	c, err := parse(text)
	if err == nil && filepath.Base(file) != c.Consumer+".yaml" {
		err = fmt.Errorf("the consumer is %s, and so is the file to be called", c.Consumer)
	}
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", file, err)
	}
	return c, nil
}

func parse(text []byte) (*Contract, error) {
	c := &Contract{}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		return nil, err
	}
	if c.Consumer == "" || c.Provider == "" || len(c.Interactions)+len(c.Events) == 0 {
		return nil, errors.New("consumer, provider, or interactions and events, are missing")
	}
	if err := c.readable(); err != nil {
		return nil, err
	}
	return c, nil
}

// readable checks all that is written, and that each has a name of its own.
func (c *Contract) readable() error {
	between, names := c.Consumer+" → "+c.Provider, map[string]bool{}
	for n := range c.Interactions {
		i := &c.Interactions[n]
		i.between = between
		if i.Name == "" || i.Given == "" || names[i.Name] {
			return fmt.Errorf("interaction %d, %q, needs a given state, and a name of its own", n, i.Name)
		}
		names[i.Name] = true
		if i.Request.Body != nil && i.Request.Form != nil {
			return i.failure(errors.New("a request has a body or a form"))
		}
		if err := i.readable(); err != nil {
			return err
		}
	}
	for n := range c.Events {
		e := &c.Events[n]
		e.between = between
		if e.Name == "" || e.Type == "" || names[e.Name] {
			return fmt.Errorf("event %d, %q, needs a type, and a name of its own", n, e.Name)
		}
		names[e.Name] = true
		if err := e.readable(); err != nil {
			return err
		}
	}
	return nil
}

// readable checks that the example is as its own rules say, and that each rule
// is about a field of it.
func (i *Interaction) readable() error {
	m, err := newMatcher(i.Response.Match)
	if err != nil {
		return i.failure(err)
	}
	m.headers(i.Response.Headers, func(name string) []string { return []string{i.Response.Headers[name]} })
	m.value("body", i.Response.Body, i.Response.Body)
	m.unused()
	return i.failure(m.problems...)
}

func (i *Interaction) failure(problems ...error) error {
	return failure(i.between, i.Name, problems...)
}

// failure puts who is concerned before what is wrong. It is nil for nothing.
func failure(between, name string, problems ...error) error {
	all := make([]error, 0, len(problems))
	for _, p := range problems {
		if p != nil {
			all = append(all, fmt.Errorf("%s, %q: %w", between, name, p))
		}
	}
	return errors.Join(all...)
}
