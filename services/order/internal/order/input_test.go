package order_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/money"
	"example.com/pizza/services/order/internal/order"
)

func quantity(n int) *int { return &n }

func TestValidate(t *testing.T) {
	t.Parallel()
	ok := order.NewLine{PizzaID: "bbq_ckn_l", Quantity: quantity(1)}
	negative := money.MustParse("-1")
	lines := func(n int) []order.NewLine {
		out := make([]order.NewLine, n)
		for i := range out {
			out[i] = ok
		}
		return out
	}
	tests := []struct {
		name string
		in   order.NewOrder
		want []fault.Field
	}{
		{"by_id", order.NewOrder{BranchID: "b", Lines: lines(1)}, nil},
		{"by_name_and_size", order.NewOrder{BranchID: "b", Lines: []order.NewLine{{Name: "n", Size: "L", Quantity: quantity(99)}}}, nil},
		{"most_lines", order.NewOrder{BranchID: "b", Lines: lines(50)}, nil},
		{"longest_branch", order.NewOrder{BranchID: strings.Repeat("점", 100), Lines: lines(1)}, nil},
		{"nothing", order.NewOrder{}, []fault.Field{
			{Field: "branchId", Message: "is required"}, {Field: "lines", Message: "must have at least 1 line"},
		}},
		{"too_many_lines", order.NewOrder{BranchID: "b", Lines: lines(51)}, []fault.Field{{Field: "lines", Message: "must have at most 50 lines"}}},
		{"branch_too_long", order.NewOrder{BranchID: strings.Repeat("점", 101), Lines: lines(1)}, []fault.Field{
			{Field: "branchId", Message: "must be at most 100 characters"},
		}},
		{"negative_total", order.NewOrder{BranchID: "b", Lines: lines(1), ExpectedTotal: &negative}, []fault.Field{
			{Field: "expected_total", Message: "must not be negative"},
		}},
		{"every_bad_line_is_named", order.NewOrder{BranchID: "b", Lines: []order.NewLine{
			{Quantity: quantity(1)},
			{Name: "n", Quantity: quantity(0)},
			{Size: "L", Quantity: quantity(100)},
			{PizzaID: "p", Quantity: quantity(-1)},
			{PizzaID: strings.Repeat("p", 51)},
			ok,
		}}, []fault.Field{
			{Field: "lines[0]", Message: "must name a pizza: pizza_id, or name and size"},
			{Field: "lines[1].size", Message: "is required"},
			{Field: "lines[1].quantity", Message: "must be from 1 to 99"},
			{Field: "lines[2].name", Message: "is required"},
			{Field: "lines[2].quantity", Message: "must be from 1 to 99"},
			{Field: "lines[3].quantity", Message: "must be from 1 to 99"},
			{Field: "lines[4].pizza_id", Message: "must be at most 50 characters"},
			{Field: "lines[4].quantity", Message: "is required"},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.in.Validate()
			var got *fault.Error
			if errors.As(err, &got) != (test.want != nil) {
				t.Fatalf("error %v", err)
			}
			if got != nil {
				if diff := cmp.Diff(test.want, got.Fields); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
