package logging

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Level is the least level that a log writes: that of the configuration, or for
// a while one that tells more. It falls back by itself, since nobody remembers to
// do it after an incident. All methods may be called at the same time.
type Level struct {
	configured slog.Level
	now        func() time.Time
	other      atomic.Pointer[deviation] // nil without one
}

// deviation is another level for a while.
type deviation struct {
	level slog.Level
	until time.Time
}

// NewLevel returns a level that stays as configured until it is told otherwise.
func NewLevel(configured slog.Level, now func() time.Time) *Level {
	return &Level{configured: configured, now: now}
}

// Level implements slog.Leveler.
func (l *Level) Level() slog.Level {
	level, _ := l.Current()
	return level
}

// Current returns the level now, and until when it deviates from the configured
// one; the zero time says that it does not.
func (l *Level) Current() (level slog.Level, until time.Time) {
	d := l.other.Load()
	if d == nil {
		return l.configured, time.Time{}
	}
	if !l.now().Before(d.until) {
		l.other.CompareAndSwap(d, nil) // so that the clock is asked no more
		return l.configured, time.Time{}
	}
	return d.level, d.until
}

// Set has the log tell more for a time. A level that tells no more than the
// configured one ends that: nobody can silence a log.
func (l *Level) Set(level slog.Level, d time.Duration) {
	if level >= l.configured {
		l.other.Store(nil)
		return
	}
	l.other.Store(&deviation{level, l.now().Add(d)})
}

// LevelOf returns the level of a log that New made, or that was derived from
// one; nil of any other.
func LevelOf(log *slog.Logger) *Level {
	if h, ok := log.Handler().(traced); ok {
		return h.level
	}
	return nil
}
