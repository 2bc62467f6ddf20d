// Package audit records security events: logins, refusals, revocations, and changes
// of the catalog. Each event is one line of the service's log, with msg "audit" and
// a fixed set of fields, which Events lists for readers and for the test of the code.
//
// A member's id is the only personal data of a line. Names are left out. So are
// addresses, which a gateway's log has under the same trace_id, and unknown ids,
// because people type passwords into that field.
package audit

import (
	"context"
	"log/slog"
	"time"
)

// Message is the msg of every line of the audit.
const Message = "audit"

// Actor is the proven identity behind an event.
type Actor string

// Actors.
const (
	Anonymous Actor = "anonymous" // without a good credential
	Member    Actor = "member"    // with the password or a token of the member
	Operator  Actor = "operator"  // with ADMIN_TOKEN, which is shared and identifies no person
	System    Actor = "system"    // the service itself
)

// Outcome is the result of an event.
type Outcome string

// Outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

// Log writes events. All methods may be called at the same time.
type Log struct{ handler slog.Handler }

// New returns an audit that writes to a service's log, whatever its minimum level is:
// LOG_LEVEL must not hide a login.
func New(log *slog.Logger) *Log { return &Log{log.Handler()} }

// event has the common parts of all lines of an event.
type event struct {
	name    string
	outcome Outcome
	actor   Actor
	level   slog.Level
}

func (l *Log) write(ctx context.Context, e event, fields ...slog.Attr) {
	r := slog.NewRecord(time.Now(), e.level, Message, 0)
	r.AddAttrs(slog.String("event", e.name), slog.String("outcome", string(e.outcome)), slog.String("actor", string(e.actor)))
	r.AddAttrs(fields...)
	_ = l.handler.Handle(ctx, r) // a log that fails has no place to report it; slog ignores it too
}

func member(id string) slog.Attr { return slog.String("member_id", id) }
