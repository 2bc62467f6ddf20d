package menu

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/pkg/text"
)

// The limits of the catalog.
const (
	maxText  = 50  // characters of an id, name, category or size, as in the tables
	maxImage = 100 // characters, as in the table
	maxPrice = "9999.99"
)

// NewPizza is a pizza to be added or replaced.
type NewPizza struct {
	ID     string
	TypeID string
	Size   string
	Price  *money.Amount // nil if it was not sent
}

// Normal returns the type with its texts in the stored form. The id is unchanged, since it
// can be that of a row of the old system.
func (t Type) Normal() Type {
	t.Name, t.Category = text.Normal(t.Name), text.Normal(t.Category)
	return t
}

// Validate returns Invalid with every bad field, or nil.
func (t Type) Validate() error {
	var check fields
	check.id("id", t.ID)
	check.label("pizza_nm", t.Name, maxText)
	check.label("pizza_categ", t.Category, maxText)
	check.label("pizza_img_url", t.Image, maxImage)
	if t.Image != "" && !relativePath(t.Image) {
		check.reject("pizza_img_url", "must be a relative path, such as images/durian.png: no scheme, no leading slash, no ..")
	}
	return check.err()
}

// Normal returns the pizza with its size in the stored form.
func (p NewPizza) Normal() NewPizza {
	p.Size = text.Normal(p.Size)
	return p
}

// Validate returns Invalid with every bad field, or nil.
func (p NewPizza) Validate() error {
	var check fields
	check.id("id", p.ID)
	check.id("pizza_type_id", p.TypeID)
	check.label("size", p.Size, maxText)
	switch {
	case p.Price == nil:
		check.reject("price", "is required")
	case p.Price.Cmp(money.Amount{}) <= 0 || p.Price.Cmp(money.MustParse(maxPrice)) > 0:
		check.reject("price", "must be more than 0 and at most "+maxPrice)
	}
	return check.err()
}

// Lookup identifies a pizza by name and size.
type Lookup struct{ Name, Size string }

// Validate returns Invalid with every bad field, or nil.
func (l Lookup) Validate() error {
	var check fields
	if l.Name == "" {
		check.reject("pizza_nm", "is required")
	}
	if l.Size == "" {
		check.reject("size", "is required")
	}
	return check.err()
}

// ValidateID returns Invalid for an id that no row can have, or nil.
func ValidateID(id string) error {
	var check fields
	check.id("id", id)
	return check.err()
}

// ValidateNewID returns Invalid for an id that no new row may have, or nil. Rows of the old
// system may have it.
func ValidateNewID(id string) error {
	var check fields
	if normal, rule := text.Identifier(id, maxText); rule != "" {
		check.reject("id", rule)
	} else if normal != id {
		check.reject("id", "must be in the Unicode form NFC")
	}
	return check.err()
}

// relativePath returns the rule that the path of an image breaks, or "".
func relativePath(s string) bool {
	u, err := url.Parse(s)
	return err == nil && *u == (url.URL{Path: u.Path, RawPath: u.RawPath}) &&
		!strings.HasPrefix(u.Path, "/") && !strings.Contains(u.Path, `\`) &&
		!slices.Contains(strings.Split(u.Path, "/"), "..")
}

// fields collects the bad fields of an input.
type fields []fault.Field

func (f *fields) reject(field, rule string) {
	*f = append(*f, fault.Field{Field: field, Message: rule})
}

// id checks an id that a row of the old system can have.
func (f *fields) id(field, value string) {
	switch {
	case value == "":
		f.reject(field, text.Required)
	case text.TooLong(value, maxText):
		f.reject(field, text.LengthRule(maxText))
	case !utf8.ValidString(value):
		f.reject(field, text.NotUTF8)
	case strings.ContainsFunc(value, unicode.IsControl):
		f.reject(field, "must not contain control characters")
	case text.Trim(value) != value:
		f.reject(field, noBlankEnds)
	}
}

// label checks a displayed text. It rejects surrounding blanks, which would make texts
// differ that look the same.
func (f *fields) label(field, value string, limit int) {
	if normal, rule := text.Label(value, limit); rule != "" {
		f.reject(field, rule)
	} else if text.Trim(normal) != normal {
		f.reject(field, noBlankEnds)
	}
}

const noBlankEnds = "must not start or end with a space"

func (f fields) err() error {
	if len(f) == 0 {
		return nil
	}
	return fault.InvalidFields(f...)
}
