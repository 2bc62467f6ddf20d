package events_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/events"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func whole() events.Event {
	return events.Event{
		ID: "018f-1", Source: "/shop", Type: "thing.created", Subject: "42",
		Time:     time.Date(2026, 11, 20, 9, 30, 0, 5000, time.UTC),
		DataType: "application/json", Data: json.RawMessage(`{"thing":42}`),
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
}

func TestEventJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(whole())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"specversion":"1.0","id":"018f-1","source":"/shop","type":"thing.created","subject":"42",` +
		`"time":"2026-11-20T09:30:00.000005Z","datacontenttype":"application/json","data":{"thing":42},` +
		`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("structured form (-want +got):\n%s", diff)
	}
	var back events.Event
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole(), back); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestEventReads(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"the least event":     `{"specversion":"1.0","id":"1","source":"/a","type":"b"}`,
		"a time elsewhere":    `{"specversion":"1.0","id":"1","source":"/a","type":"b","time":"2026-11-20T09:30:00+09:00"}`,
		"unknown attributes":  `{"specversion":"1.0","id":"1","source":"/a","type":"b","tenant":"x"}`,
		"data that is null":   `{"specversion":"1.0","id":"1","source":"/a","type":"b","data":null}`,
		"a vendor media type": `{"specversion":"1.0","id":"1","source":"/a","type":"b","datacontenttype":"application/vnd.x+json"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e events.Event
			if err := json.Unmarshal([]byte(in), &e); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEventRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, because string }{
		"no version":          {`{"id":"1","source":"/a","type":"b"}`, "specversion"},
		"another version":     {`{"specversion":"0.3","id":"1","source":"/a","type":"b"}`, "specversion"},
		"no id":               {`{"specversion":"1.0","source":"/a","type":"b"}`, "id must not be empty"},
		"no source":           {`{"specversion":"1.0","id":"1","type":"b"}`, "source must not be empty"},
		"a source that is no": {`{"specversion":"1.0","id":"1","source":"%zz","type":"b"}`, "URI reference"},
		"no type":             {`{"specversion":"1.0","id":"1","source":"/a"}`, "type must be"},
		"a wildcard type":     {`{"specversion":"1.0","id":"1","source":"/a","type":"b.*"}`, "type must be"},
		"control characters":  {`{"specversion":"1.0","id":"1","source":"/a","type":"b","subject":"x\u0000"}`, "control"},
		"binary data":         {`{"specversion":"1.0","id":"1","source":"/a","type":"b","data_base64":"AA=="}`, "data_base64"},
		"data of another type": {`{"specversion":"1.0","id":"1","source":"/a","type":"b","datacontenttype":"text/plain","data":1}`,
			"JSON media type"},
		"a broken time": {`{"specversion":"1.0","id":"1","source":"/a","type":"b","time":"yesterday"}`, "time"},
		"no object":     {`[]`, "event"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e events.Event
			err := json.Unmarshal([]byte(c.in), &e)
			if err == nil || !strings.Contains(err.Error(), c.because) {
				t.Errorf("got error %v, want one that names %q", err, c.because)
			}
		})
	}
	t.Run("every fault at once", func(t *testing.T) {
		t.Parallel()
		err := events.Event{Data: json.RawMessage("{")}.Validate()
		for _, want := range []string{"id", "source", "type", "data must be JSON"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v does not name %q", err, want)
			}
		}
	})
}

// Every event that can be read can be written, and then stays the same.
func FuzzEventJSON(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/a","type":"b"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/a","type":"b","time":"0000-01-01T00:00:00+01:00","data":"<"}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/a","type":"b","data":[1e400]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var first, second events.Event
		if json.Unmarshal(in, &first) != nil {
			return
		}
		once, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		if err := json.Unmarshal(once, &second); err != nil {
			t.Fatalf("written but not read: %v\n%s", err, once)
		}
		twice, err := json.Marshal(second)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, twice) {
			t.Errorf("changed on the way:\n%s\n%s", once, twice)
		}
	})
}
