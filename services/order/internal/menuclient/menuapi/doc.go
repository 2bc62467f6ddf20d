// Package menuapi is the part of menu's HTTP contract that order calls,
// generated from menu's OpenAPI document.
package menuapi
