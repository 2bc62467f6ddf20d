package audit

import (
	"fmt"
	"strings"
)

// Event describes the lines of one event.
type Event struct {
	Name    string
	Outcome Outcome
	Actor   Actor
	Fields  []string // beside event, outcome and actor
	Meaning string
}

// Events describes all events. A change of a name or a field breaks what reads
// the log: add rather than rename.
func Events() []Event {
	return []Event{
		{"member_registered", Success, Anonymous, []string{"member_id"}, "somebody has become a member"},
		{"login_succeeded", Success, Member, []string{"member_id"}, "a member has shown its password and got a token"},
		{"login_failed", Failure, Anonymous, []string{"member_id", "reason"}, "`reason` is `wrong_password`, or `unknown_id` with an empty `member_id`"},
		{"rate_limited", Failure, Anonymous, []string{"route", "limit"}, "refused unseen: too many; `route` is `login`, `register` or `order`, and `limit` the one that was reached"},
		{"password_changed", Success, Member, []string{"member_id"}, "all tokens from before are revoked too"},
		{"password_change_failed", Failure, Member, []string{"member_id", "reason"}, "a good token, but the old password was wrong (`wrong_password`)"},
		{"token_revoked", Success, Member, []string{"member_id", "token_id"}, "a logout; `token_id` is the token's `jti`"},
		{"member_tokens_revoked", Success, Operator, []string{"member_id"}, "an operator has ended all sessions of a member"},
		{"operator_refused", Failure, Anonymous, []string{"method", "route"}, "no or a wrong admin credential, or the operation is closed"},
		{"catalog_changed", Success, Operator, []string{"action", "id", "catalog_version"}, "`action` is `put_type`, `delete_type`, `put_pizza` or `delete_pizza`; what others write into the tables is not seen here"},
		{"token_keys_changed", Success, System, []string{"signing_kid", "verifying_kids"}, "other keys sign and verify from now on"},
		{"token_keys_restored", Success, System, []string{"signing_kid", "verifying_kids"}, "the files of the keys can be used again, and hold those in use"},
		{"token_keys_refused", Failure, System, []string{"signing_kid", "verifying_kids", "error"}, "the files hold no usable keys; those before stay in use (level ERROR)"},
	}
}

// Markdown is Events as a table.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| event | outcome | actor | fields | meaning |\n|---|---|---|---|---|\n")
	for _, e := range Events() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", e.Name, e.Outcome, e.Actor, strings.Join(e.Fields, "`, `"), e.Meaning)
	}
	return b.String()
}
