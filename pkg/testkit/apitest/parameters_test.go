package apitest

import (
	"reflect"
	"strings"
	"testing"

	"example.com/pizza/pkg/money"
)

// A parameter that is not generated as text is rejected, in the document and in the
// generated code.
func TestParametersAreText(t *testing.T) {
	t.Parallel()
	const document = `
openapi: 3.0.3
info: {title: x, version: "1"}
paths:
  /x/:
    get:
      parameters:
        - {name: p, in: query, SCHEMA}
      responses: {'200': {description: x}}
components:
  schemas:
    Money: {type: number, x-go-type: money.Amount}
    Text: {type: string}
`
	for schema, ok := range map[string]bool{
		`schema: {type: string}`:                                 true,
		`schema: {type: string, maxLength: 5, pattern: '^a$'}`:   true,
		`schema: {type: integer, minimum: 1, x-go-type: string}`: true,
		`schema: {type: number, minimum: 0, x-go-type: string}`:  true,
		`schema: {type: string, enum: [a], x-go-type: string}`:   true,
		`schema: {$ref: '#/components/schemas/Money'}`:           false,
		`schema: {$ref: '#/components/schemas/Text'}`:            false,
		`schema: {type: number}`:                                 false,
		`schema: {type: integer}`:                                false,
		`schema: {type: boolean}`:                                false,
		`schema: {type: string, format: date-time}`:              false,
		`schema: {type: string, format: uuid}`:                   false,
		`schema: {type: string, enum: [a, b]}`:                   false,
		`schema: {type: string, nullable: true}`:                 false,
		`schema: {type: array, items: {type: string}}`:           false,
		`schema: {type: array, items: {}, x-go-type: string}`:    false,
		`schema: {type: object}`:                                 false,
		`schema: {type: number, x-go-type: money.Amount}`:        false,
		`style: form, explode: false, schema: {type: string}`:    false,
		`content: {application/json: {schema: {type: string}}}`:  false,
	} {
		found := operations(t, []byte(strings.Replace(document, "SCHEMA", schema, 1)))
		if err := checkParameter(found[0].parameters[0]); (err == nil) != ok {
			t.Errorf("%s: %v", schema, err)
		}
	}
	type params struct {
		Q     *string
		Price *money.Amount
		Size  *float32
	}
	type request struct {
		ID     string
		Params params
		Body   *struct{ N int }
	}
	if bad := checkRequest(reflect.TypeFor[request]()); len(bad) != 2 {
		t.Errorf("%v", bad)
	}
}
