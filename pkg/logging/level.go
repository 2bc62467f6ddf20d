package logging

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// Level is the minimum level of a log: the configured one, or for a limited time a
// more detailed one. It returns to the configured level by itself, because people
// forget to reset it after an incident. All methods may be called concurrently.
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

// NewLevel returns a level that stays as configured until Set.
func NewLevel(configured slog.Level, now func() time.Time) *Level {
	return &Level{configured: configured, now: now}
}

// Level implements slog.Leveler.
func (l *Level) Level() slog.Level {
	level, _ := l.Current()
	return level
}

// Current returns the current level, and the end of its deviation from the configured
// level, or the zero time without a deviation.
func (l *Level) Current() (level slog.Level, until time.Time) {
	d := l.other.Load()
	if d == nil {
		return l.configured, time.Time{}
	}
	if !l.now().Before(d.until) {
		l.other.CompareAndSwap(d, nil) // the next call needs no clock
		return l.configured, time.Time{}
	}
	return d.level, d.until
}

// Set raises the detail of the log for a limited time. A level that is not more
// detailed than the configured one ends the deviation: a log cannot be silenced.
func (l *Level) Set(level slog.Level, d time.Duration) {
	if level >= l.configured {
		l.other.Store(nil)
		return
	}
	l.other.Store(&deviation{level, l.now().Add(d)})
}

// LevelOf returns the level of a logger of New, or of one that was derived from it,
// or nil for any other logger.
func LevelOf(log *slog.Logger) *Level {
	if h, ok := log.Handler().(traced); ok {
		return h.level
	}
	return nil
}
