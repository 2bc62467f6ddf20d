package takeover

import (
	"fmt"
	"time"
)

// Lock is the strongest lock that a migration takes on a table of the old system.
type Lock struct {
	// Migration is a file, such as "order/00003_number_lines".
	Migration string `json:"migration"`
	Table     string `json:"table"`
	// Mode is a table-level lock mode (PostgreSQL documentation, "Explicit Locking").
	Mode string `json:"mode"`
	// Waits says which statements of the old system wait meanwhile, and for how long.
	Waits string `json:"waits"`
}

// Modes of locks that are told apart.
const (
	accessExclusive      = "ACCESS EXCLUSIVE"
	shareUpdateExclusive = "SHARE UPDATE EXCLUSIVE"
)

// A build of an index with CONCURRENTLY reads the table twice, sorts, and writes. This
// is how many times longer than counting the rows it is taken to last.
const buildPerRead = 10

// plan estimates the locks, by the time that counting the rows of a table takes.
func (p *preflight) plan(locks []Lock) {
	reads := map[string]time.Duration{}
	for _, l := range locks {
		if p.missing[l.Table] || p.err != nil {
			continue
		}
		switch l.Mode {
		case accessExclusive:
			l.Waits = "all, for an instant"
		case shareUpdateExclusive:
			took, known := reads[l.Table]
			if !known {
				var rows int64
				began := time.Now()
				if !p.count(l.Table, "SELECT count(*) FROM "+ident(l.Table), &rows) {
					continue
				}
				took = time.Since(began)
				reads[l.Table] = took
			}
			l.Waits = fmt.Sprintf("nothing, for about %s", max(time.Second, (buildPerRead*took).Round(time.Second)))
		default:
			l.Waits = "writes, for an instant"
		}
		p.report.Plan = append(p.report.Plan, l)
	}
}
