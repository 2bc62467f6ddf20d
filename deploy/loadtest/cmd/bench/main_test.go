package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestArguments checks that a wrong argument, or variable, is named before anything runs.
func TestArguments(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"rounds_no_number":  {[]string{"--rounds", "many"}, nil, `rounds "many" is not a number from 1 to 100`},
		"rounds_none":       {nil, map[string]string{"ROUNDS": "0"}, `rounds "0" is not a number from 1 to 100`},
		"round_no_duration": {[]string{"--round=2"}, nil, `round "2" is not a duration from 100ms to 1m, such as 2s`},
		"round_too_long":    {nil, map[string]string{"ROUND": "2h"}, `round "2h" is not a duration`},
		"replay_unknown":    {nil, map[string]string{"REPLAY": "year"}, `replay "year" is not day`},
		"soak_no_duration":  {nil, map[string]string{"SOAK": "30"}, `soak "30" is not a duration from 10s to 24h, such as 30m`},
		"growth_unknown":    {nil, map[string]string{"GROWTH": "1"}, `growth "1" is not 10 or 100`},
		"base_missing":      {nil, map[string]string{"BASE": "nowhere.json"}, "base: open nowhere.json"},
		"base_broken":       {[]string{"--base", broken}, nil, "base: " + broken + ": no measurements"},
		"argument":          {[]string{"all"}, nil, `unexpected argument "all"`},
		"flag_unknown":      {[]string{"--fast"}, nil, "flag provided but not defined: -fast"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tc.args, func(v string) string { return tc.env[v] }, io.Discard, io.Discard)
			if _, ok := err.(usageError); !ok || !strings.Contains(err.Error(), tc.want) { //nolint:errorlint // not wrapped
				t.Errorf("%v; want %s", err, tc.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	a, err := parse(nil, func(string) string { return "" }, io.Discard)
	files := filepath.Join(".local", "bench")
	if err != nil || a.Rounds != 6 || a.Round != 2*time.Second || a.Replay || a.base != nil ||
		a.json != filepath.Join(files, "bench.json") || a.page != filepath.Join(files, "bench.html") {
		t.Errorf("%+v, %v", a, err)
	}
	a, err = parse([]string{"--soak=30m"}, func(string) string { return "" }, io.Discard)
	if err != nil || a.Soak != 30*time.Minute || a.json != filepath.Join(files, "soak.json") {
		t.Errorf("%+v, %v", a, err)
	}
}
