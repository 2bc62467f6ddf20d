// Package money holds an amount of money exactly.
//
// An Amount is a decimal, never a float: it enters from JSON (a number), from
// NUMERIC columns, or from an old FLOAT column through FromFloat, and leaves as
// a JSON number. Numbers from outside are bounded before any arithmetic, since
// a decimal such as 1e999999999 is a few bytes to send and gigabytes to add.
package money

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/shopspring/decimal"
)

// Scale is the number of digits after the decimal point that are kept.
const Scale = 2

// maxText bounds a number from outside; 10 digits before the point are more
// than NUMERIC(10,2) holds.
const maxText = 32

// Max is the largest amount that the database holds: NUMERIC(10,2).
var Max = Amount{decimal.New(9999999999, -Scale)}

// ErrNotMoney is returned for text that is no amount: not a plain decimal
// number, more than two digits after the point, or out of range.
var ErrNotMoney = errors.New("must be a decimal number with at most 2 digits after the point")

// Amount is an amount of money. The zero value is 0.
type Amount struct{ d decimal.Decimal }

// Parse reads a decimal number such as "12.5". It returns ErrNotMoney.
func Parse(s string) (Amount, error) {
	if len(s) > maxText || strings.ContainsAny(s, "eE+_ ") {
		return Amount{}, ErrNotMoney
	}
	d, err := decimal.NewFromString(s)
	if err != nil || !d.Equal(d.Truncate(Scale)) || d.Abs().GreaterThan(Max.d) {
		return Amount{}, ErrNotMoney
	}
	return Amount{d}, nil
}

// MustParse is Parse for constants; it panics on text that is no amount.
func MustParse(s string) Amount {
	a, err := Parse(s)
	if err != nil {
		panic(fmt.Sprintf("money: %q: %v", s, err))
	}
	return a
}

// FromFloat reads a value of an old FLOAT column, rounded to cents. ok is false
// for a value that is no price: NaN, infinite, negative, or too large.
func FromFloat(f float64) (a Amount, ok bool) {
	if math.IsNaN(f) || f < 0 || f > Max.Float() {
		return Amount{}, false
	}
	return Amount{decimal.NewFromFloat(f).Round(Scale)}, true
}

// Float returns the amount for an old FLOAT column.
func (a Amount) Float() float64 { return a.d.InexactFloat64() }

// Add returns a + b.
func (a Amount) Add(b Amount) Amount { return Amount{a.d.Add(b.d)} }

// Times returns a × n.
func (a Amount) Times(n int) Amount { return Amount{a.d.Mul(decimal.NewFromInt(int64(n)))} }

// Cmp compares two amounts: -1, 0 or 1.
func (a Amount) Cmp(b Amount) int { return a.d.Cmp(b.d) }

// Equal reports whether two amounts are the same; go-cmp uses it too.
func (a Amount) Equal(b Amount) bool { return a.d.Equal(b.d) }

// String returns the amount with two digits after the point: "12.50".
func (a Amount) String() string { return a.d.StringFixed(Scale) }

// MarshalJSON writes a JSON number, as old clients expect.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(a.d.String()), nil }

// UnmarshalJSON reads a JSON number. It returns ErrNotMoney.
func (a *Amount) UnmarshalJSON(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// Scan reads a NUMERIC column.
func (a *Amount) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("money: cannot read %T", src)
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return fmt.Errorf("money: %w", err)
	}
	a.d = d
	return nil
}

// Value writes a NUMERIC column.
func (a Amount) Value() (driver.Value, error) { return a.d.String(), nil }
