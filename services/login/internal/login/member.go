// Package login holds the rules of members, their passwords, and the revocation of
// their tokens.
//
// A registration is checked field by field, its password is hashed, and the store
// decides whether the id is free. A login takes the same work whether or not there
// is such a member, and replaces an outdated stored form. A change of the password
// needs the old one and revokes all tokens of the member. A logout revokes one
// token; an operator can revoke all tokens of a member. Every service looks revoked
// tokens up when it uses a token.
package login

import (
	"fmt"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/text"
)

// The limits of a registration, in characters. A password.Policy has those of
// passwords.
const (
	MaxID   = 100 // as in the table
	MaxName = 100 // as in the table
)

// Member is a registered customer.
type Member struct {
	ID   string // case-sensitive
	Name string

	Generation int64 // of new tokens
}

// Registration is the request of a new member.
type Registration struct{ ID, Password, Name string }

// Credentials are the id and password of a login.
type Credentials struct{ ID, Password string }

// PasswordChange is the old and the new password of a member.
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
	_, err := r.normalize(p)
	return err
}

// normalize returns the registration with its texts in the form in which they are
// stored, or Invalid with every bad field. An id must be visible and must not look
// like another one; a name is only displayed.
func (r Registration) normalize(p *password.Policy) (Registration, error) {
	id, idRule := text.Identifier(r.ID, MaxID)
	name, nameRule := text.Label(r.Name, MaxName)
	return Registration{ID: id, Password: r.Password, Name: text.Trim(name)}, invalid(
		fault.Field{Field: fieldID, Message: idRule},
		fault.Field{Field: fieldPassword, Message: p.Rule(r.Password, id)},
		fault.Field{Field: fieldName, Message: nameRule},
	)
}

// Validate returns Invalid with every bad field, or nil. memberID is "" if it is not
// known yet. Validate does not check whether the old password is right.
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

// Validate returns Invalid with every missing field, or nil. Any password that can
// have been stored can be tried: the policy is for new passwords.
func (c Credentials) Validate() error {
	return invalid(
		fault.Field{Field: fieldID, Message: present(c.ID)},
		fault.Field{Field: fieldPassword, Message: triedRule(c.Password)},
	)
}

// triedRule returns the rule that a password at login breaks. Only a password that
// cannot have been stored is invalid; normalizing a whole body costs as much as a
// hash.
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

// storedIDRule returns the rule that the id of an existing member breaks. A table
// that was taken over can hold any text, so only the length counts.
func storedIDRule(id string) string {
	if text.TooLong(id, MaxID) {
		return text.LengthRule(MaxID)
	}
	return present(id)
}
