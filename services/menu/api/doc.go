// Package api is the menu service's HTTP contract: the OpenAPI document, and
// the server interface, client and types that are generated from it.
package api

import _ "embed" // for Document

// Document is the OpenAPI document, in YAML.
//
//go:embed openapi.yaml
var Document []byte
