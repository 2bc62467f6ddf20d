package login

import (
	"context"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/text"
)

// account returns the key under which password attempts for an id are counted: the
// same for all its spellings, since each of them reaches the member.
func account(memberID string) string {
	if text.TooLong(memberID, MaxID) {
		return memberID // of nobody
	}
	return text.Normal(memberID)
}

// find returns the member whose id is stored as it was sent, or else in the normal
// or the decomposed form: rows that the old system wrote are in whatever form
// somebody's keyboard had. How often the store is asked depends on the sent text
// alone, so it does not tell members apart from others. It returns NotFound and
// Unavailable.
func (s *Service) find(ctx context.Context, memberID string) (m Member, stored string, err error) {
	if text.TooLong(memberID, MaxID) { // no work that grows with what was sent
		return Member{}, "", fault.New(fault.NotFound, "no such member")
	}
	err = fault.New(fault.NotFound, "no such member")
	for _, spelling := range text.Spellings(memberID) {
		found, itsStored, findErr := s.store.Find(ctx, spelling)
		switch {
		case findErr != nil && fault.CodeOf(findErr) != fault.NotFound:
			return Member{}, "", findErr
		case findErr == nil && err != nil:
			m, stored, err = found, itsStored, nil // the first one counts, and the others are asked for all the same
		}
	}
	return m, stored, err
}

// insert keeps a new member. It returns Conflict where the id is taken in any
// spelling, and Unavailable. An id of ASCII has one spelling, which the store checks.
func (s *Service) insert(ctx context.Context, m Member, stored string) error {
	if len(text.Spellings(m.ID)) > 1 {
		switch _, _, err := s.find(ctx, m.ID); fault.CodeOf(err) {
		case fault.NotFound:
		case "":
			return fault.New(fault.Conflict, "the id is taken")
		default:
			return err
		}
	}
	return s.store.Insert(ctx, m, stored)
}

// stored returns the id of a member as it is stored, or as it was sent where no
// such member is stored. It returns Unavailable.
func (s *Service) stored(ctx context.Context, memberID string) (string, error) {
	if len(text.Spellings(memberID)) == 1 {
		return memberID, nil
	}
	switch m, _, err := s.find(ctx, memberID); fault.CodeOf(err) {
	case "":
		return m.ID, nil
	case fault.NotFound:
		return memberID, nil
	default:
		return "", err
	}
}
