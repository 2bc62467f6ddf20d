package money_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"example.com/pizza/pkg/money"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0.00", "-0": "0.00", "12": "12.00", "12.5": "12.50", "20.75": "20.75", "20.750000": "20.75", "-3.1": "-3.10",
		"007": "7.00", strings.Repeat("0", 32): "0.00", "99999999.99": "99999999.99", "-99999999.99": "-99999999.99",
	} {
		a, err := money.Parse(text)
		if err != nil || a.String() != want {
			t.Errorf("%q is %s, %v; want %s", text, a, err, want)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "blank": " ", "word": "cheap", "null": "null", "quoted": `"1.5"`, "two_points": "1.2.3", "only_a_point": ".",
		"only_a_sign": "-", "plus": "+1", "comma": "1,5", "underscore": "1_000", "hexadecimal": "0x10", "not_a_number": "NaN", "infinite": "Infinity",
		"three_digits": "0.001", "exponent": "1e2", "huge_exponent": "1e999999999", "tiny_exponent": "1E-999999999",
		"one_cent_too_many": "100000000", "below_the_least": "-100000000", "long": strings.Repeat("0", 33),
		"other_digits": "١٢", "nul": "1\x00", "invalid_utf8": "1\xff",
	} {
		t.Run("refuses_"+name, func(t *testing.T) {
			t.Parallel()
			if a, err := money.Parse(text); !errors.Is(err, money.ErrNotMoney) {
				t.Errorf("%q is %s, %v", text, a, err)
			}
		})
	}
}

func TestFromFloat(t *testing.T) {
	t.Parallel()
	for f, want := range map[float64]string{
		0: "0.00", math.Copysign(0, -1): "0.00", 20.75: "20.75", 0.1 + 0.2: "0.30", 35.949999999999996: "35.95", 12.345: "12.35",
		5e-324: "0.00", 99999999.99: "99999999.99",
	} {
		a, ok := money.FromFloat(f)
		if !ok || a.String() != want {
			t.Errorf("%g is %s, %v; want %s", f, a, ok, want)
		}
	}
	for _, f := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.01, -1e300, 1e8, math.MaxFloat64} {
		if a, ok := money.FromFloat(f); ok {
			t.Errorf("%g is %s", f, a)
		}
	}
}

// Sums that float64 gets wrong.
func TestArithmeticIsExact(t *testing.T) {
	t.Parallel()
	sum := money.Amount{}
	for range 10 {
		sum = sum.Add(money.MustParse("0.1"))
	}
	if one := money.MustParse("1"); !sum.Equal(one) || sum.Cmp(one) != 0 {
		t.Errorf("ten times 0.1 is %s", sum)
	}
	if got := money.MustParse("20.75").Times(99); got.String() != "2054.25" {
		t.Errorf("99 times 20.75 is %s", got)
	}
	if money.MustParse("1").Cmp(money.MustParse("1.01")) != -1 || money.Max.Cmp(money.Amount{}) != 1 {
		t.Error("the order of amounts is wrong")
	}
}

// In JSON, an amount is a number, not a string, and has no redundant digits.
func TestJSON(t *testing.T) {
	t.Parallel()
	type price struct {
		Price money.Amount `json:"price"`
	}
	for text, want := range map[string]string{
		`{"price":20.750}`: `{"price":20.75}`, `{"price":12}`: `{"price":12}`, `{"price":-0}`: `{"price":0}`, `{"price":0.10}`: `{"price":0.1}`,
	} {
		var p price
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := json.Marshal(p); err != nil || string(got) != want {
			t.Errorf("%s is written as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{`"12.5"`, `true`, `{}`, `[]`, `1e400`, `1e999999999`, `0.001`} {
		var p price
		if err := json.Unmarshal([]byte(`{"price":`+text+`}`), &p); !errors.Is(err, money.ErrNotMoney) {
			t.Errorf("%s is read as %s, %v", text, p.Price, err)
		}
	}
}

func TestNumericColumn(t *testing.T) {
	t.Parallel()
	var a money.Amount
	if err := a.Scan("817860.05"); err != nil {
		t.Fatal(err)
	}
	if v, err := a.Value(); err != nil || v != "817860.05" {
		t.Errorf("written as %v, %v", v, err)
	}
	for _, src := range []any{nil, 1.5, "NaN", "cheap"} {
		if err := a.Scan(src); err == nil {
			t.Errorf("%v is read as %s", src, a)
		}
	}
}

func TestMustParsePanicsOnADefect(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	money.MustParse("cheap")
}

// Parsed amounts stay within bounds, and survive every encoding and decoding.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-0.01", "20.750", ".5", "5.", "99999999.99", "1e999999999", "-.0", "00000000000000000000000000000001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := money.Parse(s)
		if err != nil {
			if !errors.Is(err, money.ErrNotMoney) {
				t.Error(err)
			}
			return
		}
		if a.Cmp(money.Max) > 0 || a.Times(-1).Cmp(money.Max) > 0 {
			t.Errorf("%q is %s, out of bounds", s, a)
		}
		if b, err := money.Parse(a.String()); err != nil || !b.Equal(a) {
			t.Errorf("%q comes back as %s, %v", s, b, err)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var b money.Amount
		if err := json.Unmarshal(text, &b); err != nil || !b.Equal(a) {
			t.Errorf("%q comes back from JSON %s as %s, %v", s, text, b, err)
		}
		if c, ok := money.FromFloat(a.Float()); ok != (a.Cmp(money.Amount{}) >= 0) || ok && !c.Equal(a) {
			t.Errorf("%q comes back from a float column as %s, %v", s, c, ok)
		}
	})
}

func FuzzFromFloat(f *testing.F) {
	for _, v := range []float64{0, 20.75, 0.005, 5e-324, 99999999.99, math.Inf(1), math.NaN()} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		a, ok := money.FromFloat(v)
		if ok && math.Abs(a.Float()-v) > 0.0050001 {
			t.Errorf("%g is rounded to %s", v, a)
		}
		if ok && (a.Cmp(money.Amount{}) < 0 || a.Cmp(money.Max) > 0) {
			t.Errorf("%g is %s, out of bounds", v, a)
		}
	})
}
