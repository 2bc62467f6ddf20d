// Package events carries events from the service in which they happen to consumers,
// at least once and in order per subject, without losing a committed event:
//
//	statement that changes data ─ same transaction ─▶ outbox table
//	outbox table ─ Relay ─▶ Transport ─ Subscribe ─▶ consumer ─ Inbox ─▶ its data
//
// A service writes an event into its outbox in the transaction of the change, so that
// neither exists without the other. A Relay in each replica moves committed rows to a
// Transport. A consumer may receive an event more than once, because every step
// retries when it is uncertain. Copies have the same id, and an Inbox turns "at least
// once" into "took effect once".
//
// Transports are in subpackages. All of them pass the suite of package eventstest,
// which defines the guarantees for consumers.
package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// ContentType is the media type of an Event as JSON (CloudEvents JSON Event
// Format 1.0, section 3).
const ContentType = "application/cloudevents+json"

// specVersion is the version of CloudEvents that is written and read.
const specVersion = "1.0"

// Event is an event of CloudEvents 1.0 with JSON data. Its JSON is the structured mode of
// the specification; unknown attributes are ignored when reading.
type Event struct {
	ID          string          // equal for all copies of the event; identifies duplicates
	Source      string          // the producer, a URI reference such as "/order"
	Type        string          // lower-case words joined by dots, such as "thing.created"
	Subject     string          // the changed object; events of one subject keep their order. Empty: no order
	Time        time.Time       // of the change; zero if unknown
	DataType    string          // media type of Data, "application/json" if empty
	Data        json.RawMessage // nil if there is none
	TraceParent string          // W3C trace context of the cause (CloudEvents Distributed Tracing extension), or ""
}

// envelope is the JSON of an Event.
type envelope struct {
	SpecVersion string          `json:"specversion"`
	ID          string          `json:"id"`
	Source      string          `json:"source"`
	Type        string          `json:"type"`
	Subject     string          `json:"subject,omitempty"`
	Time        time.Time       `json:"time,omitzero"`
	DataType    string          `json:"datacontenttype,omitempty"`
	Data        json.RawMessage `json:"data,omitempty"`
	DataBase64  json.RawMessage `json:"data_base64,omitempty"`
	TraceParent string          `json:"traceparent,omitempty"`
}

// Validate reports every violation of CloudEvents 1.0, and data that is not JSON.
func (e Event) Validate() error {
	bad := []error{
		text("id", e.ID, true), text("source", e.Source, true), eventType(e.Type),
		text("subject", e.Subject, false), text("datacontenttype", e.DataType, false), text("traceparent", e.TraceParent, false),
	}
	if _, err := url.Parse(e.Source); err != nil {
		bad = append(bad, errors.New("source must be a URI reference"))
	}
	if !isJSON(e.DataType) {
		bad = append(bad, errors.New("datacontenttype must be a JSON media type"))
	}
	if e.Data != nil && !json.Valid(e.Data) {
		bad = append(bad, errors.New("data must be JSON"))
	}
	if year := e.Time.UTC().Year(); year < 0 || year > 9999 {
		bad = append(bad, errors.New("time must be in the years 0 to 9999"))
	}
	if err := errors.Join(bad...); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	return nil
}

// text checks a string attribute: CloudEvents allows no control characters.
func text(name, value string, required bool) error {
	switch {
	case required && value == "":
		return errors.New(name + " must not be empty")
	case strings.ContainsFunc(value, unicode.IsControl):
		return errors.New(name + " must not hold control characters")
	}
	return nil
}

// eventType restricts types to names that are valid in every transport: in NATS, blanks,
// *, > and empty words have a special meaning.
func eventType(t string) error {
	for word := range strings.SplitSeq(t, ".") {
		letters := func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-'
		}
		if word == "" || strings.ContainsFunc(word, letters) {
			return errors.New("type must be words of a-z, 0-9, _ and -, joined by dots")
		}
	}
	return nil
}

func isJSON(mediaType string) bool {
	if mediaType == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(mediaType)
	return err == nil && (t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json"))
}

// MarshalJSON encodes a valid event in structured mode, and fails for an invalid one.
func (e Event) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	dataType := e.DataType
	if dataType == "" && e.Data != nil {
		dataType = "application/json"
	}
	return json.Marshal(envelope{
		SpecVersion: specVersion, ID: e.ID, Source: e.Source, Type: e.Type, Subject: e.Subject,
		Time: e.Time.UTC(), DataType: dataType, Data: e.Data, TraceParent: e.TraceParent,
	})
}

// UnmarshalJSON decodes an event in structured mode, and fails for an event that is
// invalid or has binary data. The time is in UTC.
func (e *Event) UnmarshalJSON(b []byte) error {
	var v envelope
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("event: %w", err)
	}
	if v.SpecVersion != specVersion {
		return fmt.Errorf("event: specversion is %q, not %q", v.SpecVersion, specVersion)
	}
	if v.DataBase64 != nil {
		return errors.New("event: data_base64 is not supported, because data is JSON here")
	}
	read := Event{
		ID: v.ID, Source: v.Source, Type: v.Type, Subject: v.Subject, Time: v.Time.UTC(),
		DataType: v.DataType, Data: bytes.Clone(v.Data), TraceParent: v.TraceParent,
	}
	if err := read.Validate(); err != nil {
		return err
	}
	*e = read
	return nil
}
