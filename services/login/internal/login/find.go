package login

import (
	"context"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/text"
)

// find returns the member whose id is stored as it was sent, or else in the composed
// or the decomposed form: the old system stored ids in the form of the member's
// keyboard. The number of look-ups depends on the sent text alone, so it does not
// reveal members. It returns NotFound and Unavailable.
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
			m, stored, err = found, itsStored, nil // the first match counts; the remaining look-ups follow all the same
		}
	}
	return m, stored, err
}

// insert stores a new member. It returns Conflict if the id is taken in any spelling,
// and Unavailable. An ASCII id has one spelling, which the store checks.
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

// stored returns the id of a member as it is stored, or as it was sent for an unknown
// member. It returns Unavailable.
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
