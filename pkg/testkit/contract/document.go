package contract

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/pizza/pkg/testkit/apitest"
)

// documented returns an error for each part of the example that the provider's OpenAPI
// document lacks. Undocumented behavior may change at any time.
func (i *Interaction) documented(document *apitest.Transport) error {
	request, want := i.example.Request, i.example.Response
	path, _, _ := strings.Cut(request.Path, "?")
	operation := document.Operation(request.Method, path)
	if operation == nil {
		return fmt.Errorf("the document has no %s %s", request.Method, request.Path)
	}
	response := operation.Responses.Status(want.Status)
	if response == nil {
		return fmt.Errorf("the document has no status %d", want.Status)
	}
	for name := range want.Headers {
		if _, known := response.Value.Headers[name]; !known && name != "Content-Type" {
			return fmt.Errorf("headers.%s: the document does not have it", name)
		}
	}
	if want.Body == nil {
		return nil
	}
	contentType := cmp.Or(want.Headers["Content-Type"], jsonType)
	content := response.Value.Content.Get(contentType)
	if content == nil {
		return fmt.Errorf("the document has no %s with status %d", contentType, want.Status)
	}
	example := partOf(content.Schema.Value)
	err := example.VisitJSON(want.Body, openapi3.MultiErrors(), openapi3.DisableSchemaErrorDetails())
	if err != nil {
		return fmt.Errorf("body: is nothing that the document has: %w", err)
	}
	return nil
}

// partOf returns s with every property optional and no further properties allowed, also
// in nested schemas.
func partOf(s *openapi3.Schema) *openapi3.Schema {
	part := *s
	part.Required, part.AllOf, part.Properties = nil, nil, openapi3.Schemas{}
	part.AdditionalProperties = openapi3.AdditionalProperties{Has: openapi3.Ptr(false)}
	for _, composed := range append(s.AllOf, s.NewRef()) {
		for name, property := range composed.Value.Properties {
			part.Properties[name] = partOf(property.Value).NewRef()
		}
	}
	if s.Items != nil {
		part.Items = partOf(s.Items.Value).NewRef()
	}
	return &part
}
