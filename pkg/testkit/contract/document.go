package contract

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"example.com/pizza/pkg/testkit/apitest"
)

// documented returns an error for everything that the consumer relies on and the
// provider's OpenAPI document lacks: undocumented parts may change at any time.
func (i *Interaction) documented(t *testing.T, document []byte) error {
	t.Helper()
	filled, err := i.fill(i.With)
	if err != nil {
		return i.failure(err)
	}
	r, err := http.NewRequestWithContext(context.Background(), filled.Request.Method, "http://provider"+filled.Request.Path, http.NoBody)
	if err != nil {
		return i.failure(err)
	}
	operation := apitest.New(t, nil, document).Operation(r)
	if operation == nil {
		return i.failure(fmt.Errorf("the document has no %s %s", filled.Request.Method, filled.Request.Path))
	}
	response := operation.Responses.Status(filled.Response.Status)
	if response == nil {
		return i.failure(fmt.Errorf("the document has no status %d", filled.Response.Status))
	}
	d := undocumented{}
	for name := range filled.Response.Headers {
		if _, known := response.Value.Headers[name]; !known && http.CanonicalHeaderKey(name) != "Content-Type" {
			d.problems.add("headers."+name, "the document does not have it")
		}
	}
	if filled.Response.Body != nil {
		var schemas []*openapi3.Schema
		for _, media := range response.Value.Content {
			schemas = append(schemas, parts(media.Schema)...)
		}
		d.value("body", filled.Response.Body, schemas)
	}
	return i.failure(d.problems...)
}

type undocumented struct{ problems problems }

// value checks that a value of the example matches one of the schemas at its path.
func (d *undocumented) value(path string, value any, schemas []*openapi3.Schema) {
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			var inner []*openapi3.Schema
			for _, s := range schemas {
				inner = append(inner, parts(s.Properties[name])...)
			}
			if len(inner) == 0 {
				d.problems.add(path+"."+name, "the document does not have it")
				continue
			}
			d.value(path+"."+name, value[name], inner)
		}
	case []any:
		var inner []*openapi3.Schema
		for _, s := range schemas {
			inner = append(inner, parts(s.Items)...)
		}
		for _, element := range value {
			d.value(path+"[]", element, inner)
		}
	default:
		var refused error
		for _, s := range schemas {
			if refused = s.VisitJSON(value); refused == nil {
				return
			}
		}
		d.problems.add(path, "%s does not match the document: %v", show(value), refused)
	}
}

// parts returns a schema and all its component schemas.
func parts(ref *openapi3.SchemaRef) []*openapi3.Schema {
	if ref == nil || ref.Value == nil {
		return nil
	}
	all := []*openapi3.Schema{ref.Value}
	for _, composed := range []openapi3.SchemaRefs{ref.Value.AllOf, ref.Value.OneOf, ref.Value.AnyOf} {
		for _, inner := range composed {
			all = append(all, parts(inner)...)
		}
	}
	return all
}
