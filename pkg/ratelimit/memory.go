package ratelimit

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Memory is a Limiter of one process. It keeps a bounded number of keys and
// forgets those first that were not asked for longest, whether they were allowed
// or not: whoever is being refused right now is not forgotten for the sake of
// others that an attacker makes up.
type Memory struct {
	rate Rate
	most int
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]*list.Element // of entry
	used list.List                // the latest in front
}

// entry is one key, and the time at which it would have used up nothing.
type entry struct {
	key string
	tat time.Time // "theoretical arrival time"
}

// NewMemory returns a limiter that remembers at most so many keys; now is the
// clock.
func NewMemory(r Rate, most int, now func() time.Time) *Memory {
	return &Memory{rate: r, most: most, now: now, keys: map[string]*list.Element{}}
}

// Allow implements Limiter. It returns no error.
func (m *Memory) Allow(_ context.Context, key string) (Decision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, interval := m.now(), m.rate.interval()
	e := m.entry(key, now)
	debt := max(e.tat.Sub(now), 0) // time until nothing is used up
	room := interval*time.Duration(m.rate.Count) - debt
	if room < interval {
		return Decision{Limit: m.rate.Count, RetryAfter: interval - room, ResetAfter: debt}, nil
	}
	e.tat = now.Add(debt + interval)
	return Decision{Allowed: true, Limit: m.rate.Count, Remaining: int((room - interval) / interval), ResetAfter: debt + interval}, nil
}

// entry returns the entry of a key, as the one used last.
func (m *Memory) entry(key string, now time.Time) *entry {
	if at, ok := m.keys[key]; ok {
		m.used.MoveToFront(at)
		return at.Value.(*entry) //nolint:forcetypeassert // nothing else is put in
	}
	if len(m.keys) == m.most {
		oldest := m.used.Back()
		delete(m.keys, m.used.Remove(oldest).(*entry).key) //nolint:forcetypeassert // as above
	}
	e := &entry{key, now}
	m.keys[key] = m.used.PushFront(e)
	return e
}
