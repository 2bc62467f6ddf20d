package httpapi

import (
	"example.com/pizza/pkg/bind"
	"example.com/pizza/services/login/api"
	"example.com/pizza/services/login/internal/login"
)

// rules checks a body for package bind.
func rules(body any) error {
	names := bind.Names{}
	switch b := body.(type) {
	case *api.Registration:
		return names.Restore(readRegistration(*b, names).Validate())
	case *api.Credentials:
		return names.Restore(readCredentials(*b, names).Validate())
	default:
		return nil
	}
}

// readRegistration takes any of the names of a field, and notes in names which
// one it was.
func readRegistration(b api.Registration, names bind.Names) login.Registration {
	return login.Registration{
		ID:       text(bind.Pick(names, "id", b.ID, "member_id", b.MemberID)),
		Password: readPassword(names, b.Pw, b.Password, b.MemberPwd),
		Name:     text(bind.Pick(names, "name", b.Name, "member_nm", b.MemberNm)),
	}
}

// readCredentials takes any of the names of a field, and notes in names which
// one it was.
func readCredentials(b api.Credentials, names bind.Names) login.Credentials {
	return login.Credentials{
		ID:       text(bind.Pick(names, "id", b.ID, "member_id", b.MemberID)),
		Password: readPassword(names, b.Pw, b.Password, b.MemberPwd),
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
