package httpapi

import (
	"fmt"

	"example.com/pizza/pkg/bind"
	"example.com/pizza/services/order/api"
	"example.com/pizza/services/order/internal/order"
)

// rules checks a body for package bind.
func rules(body any) error {
	names := bind.Names{}
	if b, ok := body.(*api.NewOrder); ok {
		return names.Restore(readOrder(*b, names).Validate())
	}
	return nil
}

// readOrder accepts both dialects, and records in names which one was sent.
func readOrder(b api.NewOrder, names bind.Names) order.NewOrder {
	n := order.NewOrder{
		BranchID:      text(bind.Pick(names, "branchId", b.BranchID, "bran_id", b.BranID)),
		ExpectedTotal: b.ExpectedTotal,
	}
	lines := bind.Pick(names, "lines", b.Lines, "items", b.Items)
	if lines == nil {
		return n
	}
	for i, l := range *lines {
		n.Lines = append(n.Lines, readLine(l, order.LinePath(i), fmt.Sprintf("%s[%d]", names.Sent("lines"), i), names))
	}
	return n
}

// readLine reads one line. path is its name in the order; sent is the name that was sent.
func readLine(l api.NewLine, path, sent string, names bind.Names) order.NewLine {
	name, nameSent := l.Name, "name"
	if l.Name == nil && l.PizzaNm != nil {
		name, nameSent = l.PizzaNm, "pizza_nm"
	}
	names[path] = sent
	names[path+".name"] = sent + "." + nameSent
	for _, field := range []string{".pizza_id", ".size", ".quantity"} {
		names[path+field] = sent + field
	}
	return order.NewLine{PizzaID: text(l.PizzaID), Name: text(name), Size: text(l.Size), Quantity: l.Quantity}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
