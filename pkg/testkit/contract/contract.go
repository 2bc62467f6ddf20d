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
//	each       a list of any length but 0, each element as the example's only one
//	           (else: of the same length, each as its counterpart)
//	integer    a whole number
//	date, time text such as 2026-11-22 or 18:30:05
//	^…$        text that the regular expression matches
//
// Rules are keyed by the path of their field, such as body.lines[].unit_price or
// headers.ETag. A response header without a rule must match exactly.
package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

const jsonType = "application/json"

// Contract is what one consumer expects of one provider.
type Contract struct {
	Consumer     string        `json:"consumer"`
	Provider     string        `json:"provider"`
	Interactions []Interaction `json:"interactions,omitempty"`
	Events       []Event       `json:"events,omitempty"`
}

// named is what every message about an interaction or an event begins with.
type named struct {
	Name    string `json:"name"`
	between string // consumer and provider
}

func (n *named) failure(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s, %q: %w", n.between, n.Name, err)
}

// Interaction is one request, and what is read of its answer.
type Interaction struct {
	named

	// Given is the state of the provider, as its tests name it.
	Given string `json:"given"`
	// With has values that depend on the state, such as a token. ${name} refers to
	// them. The values here are those served to the consumer.
	With map[string]string `json:"with,omitempty"`

	Request  Request  `json:"request"`
	Response Response `json:"response"`

	example *Interaction // the interaction with the values of With in their places
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

// compare returns what is different in the headers and the body of an answer from
// what is written. Without a rule, a header is the same; a Content-Type may have
// more parameters.
func (r *Response) compare(header func(name string) []string, body []byte) error {
	rules, want, got := map[string]string{}, map[string]any{}, map[string]any{}
	for name, value := range r.Headers {
		rules["headers."+name], want[name] = exact, value
		if name == "Content-Type" {
			rules["headers."+name] = "^" + regexp.QuoteMeta(value) + "(;|$)"
		}
		if values := header(name); len(values) > 0 {
			got[name] = strings.Join(values, ", ")
		}
	}
	maps.Copy(rules, r.Match)
	var read any
	if r.Body != nil {
		if err := json.Unmarshal(body, &read); err != nil {
			return fmt.Errorf("body: %w", err)
		}
	}
	return match(rules, map[string]any{"headers": want, "body": r.Body}, map[string]any{"headers": got, "body": read})
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
	between, names := c.Consumer+" → "+c.Provider, map[string]bool{}
	for n := range c.Interactions {
		i := &c.Interactions[n]
		i.between = between
		if i.Name == "" || i.Given == "" || names[i.Name] {
			return nil, fmt.Errorf("interaction %d, %q, needs a given state, and a name of its own", n, i.Name)
		}
		names[i.Name] = true
		if err := i.complete(); err != nil {
			return nil, i.failure(err)
		}
	}
	for n := range c.Events {
		e := &c.Events[n]
		e.between = between
		if e.Name == "" || e.Type == "" || names[e.Name] {
			return nil, fmt.Errorf("event %d, %q, needs a type, and a name of its own", n, e.Name)
		}
		names[e.Name] = true
		if err := e.Verify([]byte(show(e.Body))); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// complete makes the example, and checks it: it must be as its own rules say.
func (i *Interaction) complete() (err error) {
	if i.Request.Body != nil && i.Request.Form != nil {
		return errors.New("a request has a body or a form")
	}
	if i.example, err = i.fill(i.With); err != nil {
		return err
	}
	if text := show(i.example); strings.Contains(text, "${") {
		return fmt.Errorf("a ${name} is not one of the values in with: %s", text)
	}
	r := i.example.Response
	return r.compare(func(name string) []string { return []string{r.Headers[name]} }, []byte(show(r.Body)))
}

// fill returns the interaction with values in their places. Those that are named
// in With must be there.
func (i *Interaction) fill(values map[string]string) (*Interaction, error) {
	text := show(i)
	for name := range i.With {
		value, there := values[name]
		if !there {
			return nil, fmt.Errorf("given %q has no value for ${%s}", i.Given, name)
		}
		quoted := show(value)
		text = strings.ReplaceAll(text, "${"+name+"}", quoted[1:len(quoted)-1]) // it stands inside of quotes
	}
	filled := &Interaction{}
	err := json.Unmarshal([]byte(text), filled)
	filled.between = i.between
	return filled, err
}

// show returns a value as JSON on one line.
func show(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err) // it came out of JSON
	}
	return strings.TrimSpace(text.String())
}
