// Package contract tests both sides of a call against the caller's expectations.
//
// A consumer lists the requests it sends, and the parts of the responses it reads,
// in a file in the provider's folder. The file is used twice:
//
//	Consume   serves the responses to the consumer's real client, which must send
//	          exactly the listed requests and understand the responses
//	Provide   sends the requests to the real provider, and checks its responses
//	          for everything that the consumer reads
//
// So neither side can drift without a failing test, and neither needs the other to
// run. The counterparts for events are Hear and Announce.
//
// The response in a file is an example. The real response must have every field of
// the example, with the same JSON type. Other fields are ignored. Rules make this
// stricter or looser:
//
//	exact      the same value
//	each       a non-empty list, each element compared with the example's only one
//	           (without each: a list of the same length, compared pairwise)
//	integer, date, time, date-time, uuid
//	^…$        text that the regular expression matches
//
// Rules are keyed by the path of their field, such as body.lines[].unit_price or
// headers.ETag. A response header without a rule must match exactly.
package contract

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Contract has one consumer's expectations of one provider.
type Contract struct {
	Consumer     string        `json:"consumer"`
	Provider     string        `json:"provider"`
	Interactions []Interaction `json:"interactions,omitempty"`
	Events       []Event       `json:"events,omitempty"`
}

// Interaction is one request, and the parts of its response that are read.
type Interaction struct {
	Name string `json:"name"`

	// Given is the state of the provider, as its tests name it.
	Given string `json:"given"`
	// With has values that depend on the state, such as a token. ${name} refers to
	// them. The values here are those served to the consumer.
	With map[string]string `json:"with,omitempty"`

	Request  Request  `json:"request"`
	Response Response `json:"response"`

	between string // consumer and provider, for messages
}

// Request is a consumer's request: Body is sent as JSON, or Form as a form.
type Request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"` // with the query
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
	Form    map[string]string `json:"form,omitempty"`
}

// Response is the part of a response that the consumer reads.
type Response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
	Match   map[string]string `json:"match,omitempty"` // rules by path
}

// Read reads a file. It returns an error for an unknown field, for an interaction
// without a unique name, and for an example that violates its own rules.
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

// readable checks all interactions and events, and that names are unique.
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

// readable checks that the example satisfies its own rules, and that each rule
// applies to one of its fields.
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

// failure adds context to each problem. It returns nil if there is none.
func failure(between, name string, problems ...error) error {
	all := make([]error, 0, len(problems))
	for _, p := range problems {
		if p != nil {
			all = append(all, fmt.Errorf("%s, %q: %w", between, name, p))
		}
	}
	return errors.Join(all...)
}
