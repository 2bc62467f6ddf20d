// Package money holds an amount of money exactly.
//
// An Amount is a whole number of cents, never a float: it enters from JSON (a number),
// from NUMERIC columns, or from an old FLOAT column through FromFloat, and leaves as a
// JSON number. Numbers from outside are bounded to what a column holds, so sums of them
// stay far from the limits of an integer.
package money

import (
	"bytes"
	"cmp"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Digits is the number of digits after the decimal point.
const Digits = 2

const unit = 100 // cents

// maxText bounds a number from outside; 10 digits before the point are more
// than NUMERIC(10,2) holds.
const maxText = 32

// Max is the largest amount that the database holds: NUMERIC(10,2).
var Max = Amount{99_999_999_99}

// ErrNotMoney is returned for text that is no amount: not a plain decimal
// number, more than two digits after the point, or out of range.
var ErrNotMoney = errors.New("must be a decimal number with at most 2 digits after the point")

// Amount is an amount of money. The zero value is 0.
type Amount struct{ cents int64 }

// FromCents returns an amount of cents.
func FromCents(cents int64) Amount { return Amount{cents} }

// Cents returns the amount in cents.
func (a Amount) Cents() int64 { return a.cents }

// Parse reads a decimal number such as "12.5". It returns ErrNotMoney.
func Parse(s string) (Amount, error) {
	number, negative := strings.CutPrefix(s, "-")
	whole, fraction, _ := strings.Cut(number, ".")
	if len(s) > maxText || whole+fraction == "" {
		return Amount{}, ErrNotMoney
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > Digits {
		return Amount{}, ErrNotMoney
	}
	n, err := strconv.ParseUint(whole+(fraction + "00")[:Digits], 10, 63)
	if err != nil || int64(n) > Max.cents {
		return Amount{}, ErrNotMoney
	}
	if negative {
		return Amount{-int64(n)}, nil
	}
	return Amount{int64(n)}, nil
}

// MustParse is Parse for constants; it panics on text that is no amount.
func MustParse(s string) Amount {
	a, err := Parse(s)
	if err != nil {
		panic(fmt.Sprintf("money: %q: %v", s, err))
	}
	return a
}

// FromFloat reads a value of an old FLOAT column, rounded to cents as it is written in
// decimal: 1.005 is 1.01, although the nearest float is less. ok is false for a value that
// is no price: NaN, infinite, negative, or too large.
func FromFloat(f float64) (a Amount, ok bool) {
	if math.IsNaN(f) || f < 0 || f > Max.Float() {
		return Amount{}, false
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(f, 'f', -1, 64), ".")
	fraction += "000"
	a, err := Parse(whole + "." + fraction[:Digits])
	if fraction[Digits] >= '5' {
		a.cents++
	}
	return a, err == nil
}

// Float returns the amount for an old FLOAT column.
func (a Amount) Float() float64 { return float64(a.cents) / unit }

// Add returns a + b.
func (a Amount) Add(b Amount) Amount { return Amount{a.cents + b.cents} }

// Times returns a × n.
func (a Amount) Times(n int) Amount { return Amount{a.cents * int64(n)} }

// Cmp compares two amounts: -1, 0 or 1.
func (a Amount) Cmp(b Amount) int { return cmp.Compare(a.cents, b.cents) }

// Equal reports whether two amounts are the same; go-cmp uses it.
func (a Amount) Equal(b Amount) bool { return a == b }

// String returns the amount with two digits after the point: "12.50".
func (a Amount) String() string { return string(a.text()) }

func (a Amount) text() []byte {
	text := make([]byte, 0, maxText)
	if a.cents < 0 {
		text = append(text, '-')
		a.cents = -a.cents
	}
	text = strconv.AppendInt(text, a.cents/unit, 10)
	return append(text, '.', byte('0'+a.cents%unit/10), byte('0'+a.cents%10))
}

// MarshalJSON writes a JSON number without redundant digits, as old clients expect.
func (a Amount) MarshalJSON() ([]byte, error) {
	return bytes.TrimSuffix(bytes.TrimRight(a.text(), "0"), []byte(".")), nil
}

// UnmarshalJSON reads a JSON number. It returns ErrNotMoney.
func (a *Amount) UnmarshalJSON(b []byte) error {
	v, err := Parse(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// Scan reads a NUMERIC column. Package postgres does it without text.
func (a *Amount) Scan(src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("money: cannot read %T", src)
	}
	v, err := Parse(s)
	if err != nil {
		return fmt.Errorf("money: %q: %w", s, err)
	}
	*a = v
	return nil
}

// Value writes a NUMERIC column.
func (a Amount) Value() (driver.Value, error) { return a.String(), nil }
