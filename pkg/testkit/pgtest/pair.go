package pgtest

import (
	"testing"

	"example.com/pizza/pkg/testkit/pgserver"
)

// Pair starts a server and its standby (pgserver.StartPair), both with these settings, and
// stops them after the test.
func Pair(tb testing.TB, settings map[string]string) (primary, standby *pgserver.Server) {
	tb.Helper()
	primary, standby, err := pgserver.StartPair(tb.Context(),
		pgserver.Options{DataDir: Folder(tb) + "/primary", Settings: settings, Log: tb.Output()},
		pgserver.Options{DataDir: Folder(tb) + "/standby", Settings: settings, Log: tb.Output()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for _, s := range []*pgserver.Server{primary, standby} {
			if err := s.Stop(); err != nil {
				tb.Error(err)
			}
		}
	})
	return primary, standby
}
