// Package login is what the service is about: members, their passwords, and the
// tokens that they get for them.
//
// A registration is checked field by field, its password is hashed, and the
// table decides whether the id is free. A login finds the member, checks the
// password with the same work whether or not there is such a member, replaces a
// stored form that is out of date, and issues a token. A change of the password
// needs a good token and the old password, withdraws all tokens of the member, and
// gives a new one. A logout withdraws its token; an operator may withdraw all tokens
// of a member. Every service looks withdrawals up when it uses a token.
package login

import (
	"fmt"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/text"
)

// The limits of a registration, in characters. What a password must be is the
// business of a password.Policy.
const (
	MaxID   = 100 // as in the table
	MaxName = 100 // as in the table
)

// Member is someone who may log in.
type Member struct {
	ID   string // upper and lower case differ
	Name string

	Generation int64 // of the tokens that a login of now gets
}

// Registration is what someone who wants to be a member says.
type Registration struct{ ID, Password, Name string }

// Credentials is what a member says to log in.
type Credentials struct{ ID, Password string }

// PasswordChange is what a member says to get another password.
type PasswordChange struct{ Old, New string }

// The names of the fields in errors.
const (
	fieldID          = "id"
	fieldPassword    = "pw"
	fieldName        = "name"
	fieldOldPassword = "old_pw"
	fieldNewPassword = "new_pw"
	fieldMemberID    = "member_id"
)

// Validate returns Invalid with every bad field, or nil.
func (r Registration) Validate(p *password.Policy) error {
	_, err := r.normal(p)
	return err
}

// normal returns the registration with its texts in the form in which they are
// kept, or Invalid with every bad field. An id must be visible and look like no
// other; a name is only shown.
func (r Registration) normal(p *password.Policy) (Registration, error) {
	id, idRule := text.Identifier(r.ID, MaxID)
	name, nameRule := text.Label(r.Name, MaxName)
	return Registration{ID: id, Password: r.Password, Name: text.Trim(name)}, invalid(
		fault.Field{Field: fieldID, Message: idRule},
		fault.Field{Field: fieldPassword, Message: p.Rule(r.Password, id)},
		fault.Field{Field: fieldName, Message: nameRule},
	)
}

// Validate returns Invalid with every bad field, or nil; memberID is whose
// password it is, "" while that is not known. Whether the old password is right
// is another question.
func (c PasswordChange) Validate(p *password.Policy, memberID string) error {
	rule := p.Rule(c.New, memberID)
	if rule == "" && len(c.Old) <= password.MaxTried && password.Normal(c.New) == password.Normal(c.Old) {
		rule = "must differ from the old password"
	}
	return invalid(
		fault.Field{Field: fieldOldPassword, Message: triedRule(c.Old)},
		fault.Field{Field: fieldNewPassword, Message: rule},
	)
}

// Validate returns Invalid with every missing field, or nil. Otherwise any password
// may be tried that can have been stored: what was stored once goes on working.
func (c Credentials) Validate() error {
	return invalid(
		fault.Field{Field: fieldID, Message: present(c.ID)},
		fault.Field{Field: fieldPassword, Message: triedRule(c.Password)},
	)
}

// triedRule returns the rule that a password at login breaks. Only what nobody can
// have stored is wrong; to normalize a whole body would cost as much as a hash.
func triedRule(pw string) string {
	if len(pw) > password.MaxTried {
		return fmt.Sprintf("must be at most %d bytes", password.MaxTried)
	}
	return present(pw)
}

func present(s string) string {
	if s == "" {
		return text.Required
	}
	return ""
}

// invalid returns Invalid with the fields that have a message.
func invalid(fields ...fault.Field) error {
	var bad []fault.Field
	for _, f := range fields {
		if f.Message != "" {
			bad = append(bad, f)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return fault.InvalidFields(bad...)
}

// storedIDRule returns the rule that the id of an existing member breaks. Only what
// no table can hold is refused, because a table that was taken over can hold any
// text.
func storedIDRule(id string) string {
	if text.TooLong(id, MaxID) {
		return text.LengthRule(MaxID)
	}
	return present(id)
}
