package httpapi

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

// Errors name fields as the caller named them.
func TestFieldsKeepTheNamesOfTheCaller(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []fault.Field
	}{
		"old": {`{"lines":[{"name":"n","quantity":0}]}`, []fault.Field{
			{Field: "branchId", Message: "is required"},
			{Field: "lines[0].size", Message: "is required"},
			{Field: "lines[0].quantity", Message: "must be from 1 to 99"},
		}},
		"new": {`{"bran_id":"","items":[{"pizza_nm":"","size":"L","quantity":100}]}`, []fault.Field{
			{Field: "bran_id", Message: "is required"},
			{Field: "items[0].pizza_nm", Message: "is required"},
			{Field: "items[0].quantity", Message: "must be from 1 to 99"},
		}},
		"nothing_said": {`{"items":[{}]}`, []fault.Field{
			{Field: "branchId", Message: "is required"},
			{Field: "items[0]", Message: "must name a pizza: pizza_id, or name and size"},
			{Field: "items[0].quantity", Message: "is required"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body api.NewOrder
			if err := bind.JSON([]byte(test.body), &body); err != nil {
				t.Fatal(err)
			}
			names := bind.Names{}
			var got *fault.Error
			if !errors.As(names.Restore(readOrder(body, names).Validate()), &got) {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(test.want, got.Fields); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// For any bytes, the reader returns a fault that blames the input, or an order
// that follows every rule.
func FuzzReadOrder(f *testing.F) {
	for _, seed := range []string{
		`{"branchId":"BRANCH001","lines":[{"name":"The Hawaiian Pizza","size":"S","quantity":2}]}`,
		`{"bran_id":"b","items":[{"pizza_id":"p","quantity":1}],"expected_total":12.5}`,
		`{"branchId":1,"lines":{},"items":[null],"expected_total":"1e999999999"}`,
		`{"lines":[{"quantity":1e400},{"quantity":1.5},{"quantity":-0},{"name":"\u0000"}]}`,
		`[]`, `null`, `{`, "\xff", `{"lines":[[[[]]]]}`, `{"expected_total":1e999999999}`,
	} {
		f.Add([]byte(seed), false)
	}
	f.Add([]byte(`branchId=BRANCH001&lines=[{"pizza_id":"p","quantity":1}]`), true)
	f.Add([]byte("branchId=%ff&lines=%00&lines=2"), true)
	f.Fuzz(func(t *testing.T, data []byte, form bool) {
		read := bind.JSON
		if form {
			read = bind.Form
		}
		var body api.NewOrder
		err := read(data, &body)
		if err == nil {
			names := bind.Names{}
			n := readOrder(body, names)
			if err = names.Restore(n.Validate()); err == nil {
				mustKeepRules(t, n)
			}
		}
		if err != nil && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%q is answered as %s: %v", data, fault.CodeOf(err), err)
		}
	})
}

func mustKeepRules(t *testing.T, n order.NewOrder) {
	t.Helper()
	if n.BranchID == "" || len(n.Lines) < 1 || len(n.Lines) > order.MaxLines {
		t.Errorf("accepted %+v", n)
	}
	for _, l := range n.Lines {
		if *l.Quantity < 1 || *l.Quantity > order.MaxQuantity || (l.PizzaID == "" && (l.Name == "" || l.Size == "")) {
			t.Errorf("accepted %+v", l)
		}
	}
}

func FuzzReadPage(f *testing.F) {
	for _, position := range []order.Position{{Placed: 1, ID: "a"}, {Date: "2026-11-22", Time: "18:30:05", ID: "a"}} {
		cursor, err := formatCursor(position)
		if err != nil {
			f.Fatal(err)
		}
		f.Add("100", cursor)
	}
	f.Add("-1", "")
	f.Add("99999999999999999999", "%%%")
	f.Fuzz(func(t *testing.T, limit, cursor string) {
		n, after, err := readPage(api.ListMyOrdersParams{Limit: &limit, Cursor: &cursor})
		if err != nil {
			if fault.CodeOf(err) != fault.Invalid {
				t.Errorf("limit %q, cursor %q: %v", limit, cursor, err)
			}
			return
		}
		if n < 1 || n > order.MaxLimit || after == nil {
			t.Errorf("limit %q is read as %d", limit, n)
		}
		again, err := formatCursor(*after)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := parseCursor(again); err != nil || p != *after {
			t.Errorf("the cursor %q does not survive: %v", cursor, err)
		}
	})
}
