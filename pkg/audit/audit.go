// Package audit writes down what matters to security: who logged in, who was
// refused, what was revoked, and who changed what everyone reads. Each event is
// one line of the service's log, with msg "audit" and always the same fields,
// which Events lists for people and for the test that holds the code to them.
//
// The lines name members by their id and by nothing else that is personal: no
// name, no address (a gateway's log has it under the same trace_id), and no id
// that somebody only typed, for people type passwords there.
package audit

import (
	"context"
	"log/slog"
	"time"
)

// Message is the msg of every line of the audit.
const Message = "audit"

// Actor is who did something, as far as it was proven.
type Actor string

// Actors.
const (
	Anonymous Actor = "anonymous" // someone without a good credential
	Member    Actor = "member"    // someone with the password or a token of the member
	Operator  Actor = "operator"  // someone with ADMIN_TOKEN, which is shared and names nobody
	System    Actor = "system"    // the service itself
)

// Outcome is how it ended.
type Outcome string

// Outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

// Log writes events. All methods may be called at the same time.
type Log struct{ handler slog.Handler }

// New returns an audit that goes where a service's log goes, whatever the least
// level there is: LOG_LEVEL is for what operators want to read, and no one is to
// be able to log in unseen.
func New(log *slog.Logger) *Log { return &Log{log.Handler()} }

// event is what the lines of one event have in common.
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
	_ = l.handler.Handle(ctx, r) // a log that cannot be written has nowhere to say so; slog does the same
}

func member(id string) slog.Attr { return slog.String("member_id", id) }
