package apitest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/pizza/pkg/testkit/apitest"
	"example.com/pizza/pkg/testkit/logtest"
)

// A service that logs secrets of its requests is caught in every test, because Send
// registers them with the log.
func TestSecretsOfRequestsAreKnown(t *testing.T) {
	t.Parallel()
	var log logtest.Recorder
	careless := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		log.Logger("oven").DebugContext(r.Context(), "request", "body", string(body), "error", err, "path", r.URL.Path)
	}))
	defer careless.Close()
	s := (&apitest.Service{Public: careless.URL, Client: careless.Client()}).Logging(&log)
	s.Get(t, "/menu/", "Authorization", "Bearer a-credential-of-an-operator")
	if leaks := log.Leaks(); len(leaks) != 0 {
		t.Errorf("%q", leaks)
	}
	s.Post(t, "/login/", "application/json", `{"id":"minji","pw":"correct horse"}`)
	s.Post(t, "/login/", "application/x-www-form-urlencoded", `id=minji&pw=battery+staple`)
	s.Get(t, "/a-credential-of-an-operator")
	if leaks := log.Leaks(); len(leaks) != 3 {
		t.Errorf("%d of 3 leaks are seen: %q", len(leaks), leaks)
	}
}
