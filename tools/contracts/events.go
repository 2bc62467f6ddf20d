package main

import (
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"
)

// answersOfEvents writes an AsyncAPI document as OpenAPI, where each message that
// a channel announces is the answer of a GET: who hears an event reads it as who
// gets an answer, so what breaks one breaks the other.
func answersOfEvents(document string) ([]byte, error) {
	var events struct {
		Info               map[string]any `json:"info"`
		DefaultContentType string         `json:"defaultContentType"`
		Channels           map[string]struct {
			Address  string               `json:"address"`
			Messages map[string]reference `json:"messages"`
		} `json:"channels"`
		Components struct {
			Messages map[string]struct {
				Name        string `json:"name"`
				ContentType string `json:"contentType"`
				Payload     any    `json:"payload"`
			} `json:"messages"`
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := yaml.Unmarshal([]byte(document), &events); err != nil {
		return nil, err
	}
	if len(events.Channels) == 0 {
		return nil, errors.New("the document has no channels")
	}
	paths := map[string]any{}
	for name, channel := range events.Channels {
		for _, r := range channel.Messages {
			message, ok := events.Components.Messages[r.message()]
			if !ok {
				return nil, fmt.Errorf("channel %s: %q is no message of components", name, r.Ref)
			}
			contentType := message.ContentType
			if contentType == "" {
				contentType = events.DefaultContentType
			}
			paths["/"+channel.Address+"/"+message.Name] = map[string]any{"get": map[string]any{
				"responses": map[string]any{"200": map[string]any{
					"description": "the event",
					"content":     map[string]any{contentType: map[string]any{"schema": message.Payload}},
				}},
			}}
		}
	}
	return yaml.Marshal(map[string]any{
		"openapi": "3.1.0", // whose schemas have const, as AsyncAPI's
		"info":    events.Info, "paths": paths,
		"components": map[string]any{"schemas": events.Components.Schemas},
	})
}

type reference struct {
	Ref string `json:"$ref"`
}

// message is the name under components of the message that is referred to.
func (r reference) message() string {
	const prefix = "#/components/messages/"
	if len(r.Ref) <= len(prefix) || r.Ref[:len(prefix)] != prefix {
		return ""
	}
	return r.Ref[len(prefix):]
}
