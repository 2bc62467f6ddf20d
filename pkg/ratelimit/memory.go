package ratelimit

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// memory is the counter of one process. It keeps a bounded number of keys for each
// limit, and drops the least recently used. A key that is being refused is in use,
// so an attacker that makes up keys does not free it.
type memory struct {
	most int // keys of each limit
	now  func() time.Time

	mu     sync.Mutex // one for all limits: a request spends all of its limits or none
	limits map[string]*keys
}

// keys are those of one limit.
type keys struct {
	byName map[string]*list.Element // of entry
	used   list.List                // the most recently used in front
}

// entry is one key.
type entry struct {
	key   string
	empty time.Time // when its bucket is empty: GCRA's theoretical arrival time
}

func newMemory(most int, now func() time.Time) *memory {
	return &memory{most: most, now: now, limits: map[string]*keys{}}
}

// count implements counter. It returns no error.
func (m *memory) count(_ context.Context, o op, uses []use) ([]time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, fit := m.now(), true
	debts := make([]time.Duration, len(uses))
	for i, u := range uses {
		debts[i] = u.rate.debt(m.empty(u).Sub(now))
		fit = fit && u.rate.fits(debts[i])
	}
	for i, u := range uses {
		switch {
		case o == spend && fit:
			m.set(u, now.Add(debts[i]+u.rate.interval()))
		case o == refund && debts[i] > 0:
			m.set(u, now.Add(debts[i]-u.back))
		}
	}
	return debts, nil
}

// empty returns the time at which the bucket of a key is empty.
func (m *memory) empty(u use) (t time.Time) {
	if k := m.limits[u.limit]; k != nil {
		if at, ok := k.byName[u.key]; ok {
			k.used.MoveToFront(at)
			t = at.Value.(*entry).empty //nolint:forcetypeassert // nothing else is put in
		}
	}
	return t
}

func (m *memory) set(u use, empty time.Time) {
	k := m.limits[u.limit]
	if k == nil {
		k = &keys{byName: map[string]*list.Element{}}
		m.limits[u.limit] = k
	}
	if at, ok := k.byName[u.key]; ok {
		at.Value.(*entry).empty = empty //nolint:forcetypeassert // as above
		return
	}
	if len(k.byName) == m.most {
		delete(k.byName, k.used.Remove(k.used.Back()).(*entry).key) //nolint:forcetypeassert // as above
	}
	k.byName[u.key] = k.used.PushFront(&entry{u.key, empty})
}
