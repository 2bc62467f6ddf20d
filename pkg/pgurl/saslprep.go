package pgurl

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// saslprep checks and maps as SASLprep (RFC 4013), without the normalization.
var saslprep = stringprep.Profile{
	Mappings: []stringprep.Mapping{stringprep.TableB1},
	Prohibits: []stringprep.Set{
		stringprep.TableA1, stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3,
		stringprep.TableC4, stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
	},
	CheckBiDi: true,
}

// Prepare returns the form of a password that PostgreSQL and libpq hash for
// SCRAM (RFC 5802, section 5.1): that of SASLprep or, if SASLprep prohibits the
// password, the password itself. Like PostgreSQL, and unlike stringprep.SASLprep,
// it takes U+200B for a blank and looks for prohibited characters before the
// normalization.
func Prepare(password string) string {
	if !utf8.ValidString(password) {
		return password
	}
	mapped, err := saslprep.Prepare(strings.Map(func(r rune) rune {
		if stringprep.TableC1_2.Contains(r) {
			return ' '
		}
		return r
	}, password))
	if err != nil || mapped == "" {
		return password
	}
	return norm.NFKC.String(mapped)
}

// ErrPassword reports a password that pgx does not send as libpq does, so that a
// role cannot have it for both.
var ErrPassword = errors.New(
	"has characters that SASLprep prohibits and PostgreSQL's clients therefore read differently; choose another, such as one of ASCII letters and digits")

// CheckPassword returns ErrPassword for a password of a role with which only libpq,
// or only pgx, could log in.
func CheckPassword(password string) error {
	if prepared := Prepare(password); pgxForm(prepared) != prepared {
		return ErrPassword
	}
	return nil
}

// pgxForm returns the form of a password that pgx hashes. It is not that of
// SASLprep but that of PRECIS (RFC 8265), which does not change what SASLprep has
// prepared, but may change what SASLprep prohibits.
func pgxForm(password string) string {
	if strings.ContainsFunc(password, stringprep.TableA1.Contains) {
		return password
	}
	if form, err := precis.OpaqueString.String(password); err == nil {
		return form
	}
	return password
}
