package apitest

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// Messages checks events against an AsyncAPI document.
type Messages struct {
	schemas map[string]*jsonschema.Schema // by message name
}

// documentURL names the document in validation errors. It is absolute, because the
// compiler takes a relative URL for a file in the current folder, and escapes its name.
const documentURL = "asyncapi:document"

// NewMessages reads an AsyncAPI document and validates its examples.
func NewMessages(tb testing.TB, document []byte) *Messages {
	tb.Helper()
	m, err := readMessages(document)
	if err != nil {
		tb.Fatal("AsyncAPI document: ", err)
	}
	return m
}

func readMessages(document []byte) (*Messages, error) {
	var names struct {
		Components struct {
			Messages map[string]struct {
				Name     string `json:"name"`
				Examples []struct {
					Payload any `json:"payload"`
				} `json:"examples"`
			} `json:"messages"`
		} `json:"components"`
	}
	var root any
	if err := errors.Join(yaml.UnmarshalStrict(document, &root), yaml.Unmarshal(document, &names)); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft7) // the draft of AsyncAPI schemas
	compiler.AssertFormat()
	if err := compiler.AddResource(documentURL, root); err != nil {
		return nil, err
	}
	m := &Messages{map[string]*jsonschema.Schema{}}
	for key, message := range names.Components.Messages {
		schema, err := compiler.Compile(documentURL + "#/components/messages/" + key + "/payload")
		if err != nil {
			return nil, err
		}
		m.schemas[message.Name] = schema
		for i, example := range message.Examples {
			if err := schema.Validate(example.Payload); err != nil {
				return nil, fmt.Errorf("example %d of %s: %w", i, message.Name, err)
			}
		}
	}
	return m, nil
}

// Check returns an error unless body is a valid message of that name.
func (m *Messages) Check(name string, body []byte) error {
	schema, ok := m.schemas[name]
	if !ok {
		return fmt.Errorf("the document has no message %q, only %q", name, slices.Sorted(maps.Keys(m.schemas)))
	}
	message, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("message %s: %w", name, err)
	}
	if err := schema.Validate(message); err != nil {
		return fmt.Errorf("message %s: %w", name, err)
	}
	return nil
}
