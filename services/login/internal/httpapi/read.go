package httpapi

import (
	"example.com/pizza/pkg/bind"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/login"
)

// rules checks a body for package bind.
func (h *Handler) rules(body any) error {
	names := bind.Names{}
	switch b := body.(type) {
	case *api.Registration:
		return names.Restore(readRegistration(*b, names).Validate(h.policy))
	case *api.Credentials:
		return names.Restore(readCredentials(*b, names).Validate())
	case *api.PasswordChange:
		return names.Restore(readPasswordChange(*b, names).Validate(h.policy, "")) // the token names the member later
	default:
		return nil
	}
}

// readRegistration accepts every name of a field, and records the name that was sent.
func readRegistration(b api.Registration, names bind.Names) login.Registration {
	return login.Registration{
		ID:       text(bind.Pick(names, "id", b.ID, "member_id", b.MemberID)),
		Password: readPassword(names, b.Pw, b.Password, b.MemberPwd),
		Name:     text(bind.Pick(names, "name", b.Name, "member_nm", b.MemberNm)),
	}
}

// readCredentials accepts every name of a field, and records the name that was sent.
func readCredentials(b api.Credentials, names bind.Names) login.Credentials {
	return login.Credentials{
		ID:       text(bind.Pick(names, "id", b.ID, "member_id", b.MemberID)),
		Password: readPassword(names, b.Pw, b.Password, b.MemberPwd),
	}
}

// readPasswordChange accepts every name of a field, and records the name that was sent.
func readPasswordChange(b api.PasswordChange, names bind.Names) login.PasswordChange {
	return login.PasswordChange{
		Old: text(bind.Pick(names, "old_pw", b.OldPw, "old_password", b.OldPassword)),
		New: text(bind.Pick(names, "new_pw", b.NewPw, "new_password", b.NewPassword)),
	}
}

func readPassword(names bind.Names, pw, password, memberPwd *string) string {
	return text(bind.Pick(names, "pw", bind.Pick(names, "pw", pw, "password", password), "member_pwd", memberPwd))
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
