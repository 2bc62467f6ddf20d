// Package api is the login service's HTTP contract: the OpenAPI document, and
// the server interface, client and types that are generated from it. Beside it
// is what the service announces, as an AsyncAPI document.
package api

import _ "embed" // for the documents

// Document is the OpenAPI document, in YAML.
//
//go:embed openapi.yaml
var Document []byte

// Events is the AsyncAPI document, in YAML.
//
//go:embed asyncapi.yaml
var Events []byte
