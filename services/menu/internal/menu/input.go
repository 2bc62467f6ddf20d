package menu

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
)

// The limits of what the catalog takes in.
const (
	maxText  = 50  // characters of an id, name, category or size, as in the tables
	maxImage = 100 // characters, as in the table
	maxPrice = "9999.99"
)

// NewPizza is a pizza that is to be on the menu.
type NewPizza struct {
	ID     string
	TypeID string
	Size   string
	Price  *money.Amount // nil when it was not given
}

// Validate returns Invalid with every bad field, or nil.
func (t Type) Validate() error {
	var check fields
	check.text("id", t.ID, maxText)
	check.text("pizza_nm", t.Name, maxText)
	check.text("pizza_categ", t.Category, maxText)
	check.text("pizza_img_url", t.Image, maxImage)
	if t.Image != "" && !relativePath(t.Image) {
		check.reject("pizza_img_url", "must be a relative path, such as images/durian.png: no scheme, no leading slash, no ..")
	}
	return check.err()
}

// Validate returns Invalid with every bad field, or nil.
func (p NewPizza) Validate() error {
	var check fields
	check.text("id", p.ID, maxText)
	check.text("pizza_type_id", p.TypeID, maxText)
	check.text("size", p.Size, maxText)
	switch {
	case p.Price == nil:
		check.reject("price", "is required")
	case p.Price.Cmp(money.Amount{}) <= 0 || p.Price.Cmp(money.MustParse(maxPrice)) > 0:
		check.reject("price", "must be more than 0 and at most "+maxPrice)
	}
	return check.err()
}

// Lookup asks for the pizza of a name and a size.
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

// ValidateID returns Invalid for an id that nothing can have, or nil.
func ValidateID(id string) error {
	var check fields
	check.text("id", id, maxText)
	return check.err()
}

// relativePath tells a path that stays below where the images are served.
func relativePath(s string) bool {
	u, err := url.Parse(s)
	return err == nil && *u == (url.URL{Path: u.Path, RawPath: u.RawPath}) &&
		!strings.HasPrefix(u.Path, "/") && !strings.Contains(u.Path, `\`) &&
		!slices.Contains(strings.Split(u.Path, "/"), "..")
}

// fields gathers the bad fields of an input.
type fields []fault.Field

func (f *fields) reject(field, rule string) {
	*f = append(*f, fault.Field{Field: field, Message: rule})
}

func (f *fields) rejectLength(field string, limit int) {
	f.reject(field, fmt.Sprintf("must be at most %d characters", limit))
}

// text checks a text that is required. Blanks around it are refused, since they
// would make two texts differ that look the same.
func (f *fields) text(field, value string, limit int) {
	switch {
	case value == "":
		f.reject(field, "is required")
	case !utf8.ValidString(value):
		f.reject(field, "must be UTF-8")
	case utf8.RuneCountInString(value) > limit:
		f.rejectLength(field, limit)
	case strings.ContainsFunc(value, unicode.IsControl):
		f.reject(field, "must not contain control characters")
	case strings.TrimSpace(value) != value:
		f.reject(field, "must not start or end with a space")
	}
}

func (f fields) err() error {
	if len(f) == 0 {
		return nil
	}
	return fault.InvalidFields(f...)
}
