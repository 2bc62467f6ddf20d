// Package events carries what happened in one service to whoever wants to know,
// at least once and in order per subject, without losing anything that was
// committed:
//
//	statement that changes data ─ same transaction ─▶ outbox table
//	outbox table ─ Relay ─▶ Transport ─ Subscribe ─▶ consumer ─ Inbox ─▶ its data
//
// A service writes an event into its outbox in the transaction of the change
// that it tells of, so that there is never one without the other. A Relay in
// each replica moves committed rows to a Transport. A consumer may see an event
// more than once, because every step repeats what it is not sure of; the
// event's id says so, and an Inbox turns "at least once" into "took effect
// once".
//
// Transports are in the packages below this one. All of them pass the suite in
// package eventstest, which is the definition of what a consumer can rely on.
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

// Event is something that happened, as CloudEvents 1.0 describes it. Its data
// is JSON. As JSON it is the structured form of the specification; attributes
// that it does not know are ignored when reading.
type Event struct {
	ID          string          // the same for every copy of the event: what duplicates are told by
	Source      string          // who says so: a URI reference such as "/order"
	Type        string          // what happened: lower-case words joined by dots, such as "thing.created"
	Subject     string          // what it happened to; events of one subject keep their order. Empty: no order
	Time        time.Time       // when; zero if unknown
	DataType    string          // media type of Data, "application/json" if empty
	Data        json.RawMessage // nil if there is none
	TraceParent string          // W3C trace context of the cause (CloudEvents Distributed Tracing extension), or ""
}

// envelope is an Event as it is written.
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

// Validate reports everything that makes the event none of CloudEvents 1.0, or
// one whose data is not JSON.
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

// eventType keeps types to what is one name in every transport: NATS gives
// blanks, *, > and empty words a meaning of their own.
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

// MarshalJSON writes a valid event in the structured form, and fails for any
// other.
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

// UnmarshalJSON reads an event in the structured form, and fails for one that
// is not valid or has binary data. The time is in UTC.
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
