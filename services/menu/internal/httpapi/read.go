package httpapi

import (
	"example.com/pizza/pkg/bind"
	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

// rules checks a body for package bind. The id of a write is in its path, which is checked
// separately: any valid id serves here.
func rules(body any) error {
	const anyID = "id"
	switch b := body.(type) {
	case *api.PizzaName:
		names := bind.Names{}
		return names.Restore(readLookup(*b, names).Validate())
	case *api.QuoteRequest:
		return menu.ValidateLines(readLines(b.Lines))
	case *api.NewPizzaType:
		return readType(anyID, *b).Validate()
	case *api.NewPizza:
		return readPizza(anyID, *b).Validate()
	default:
		return nil
	}
}

func readLookup(b api.PizzaName, names bind.Names) menu.Lookup {
	return menu.Lookup{Name: text(bind.Pick(names, "pizza_nm", b.PizzaNm, "name", b.Name)), Size: text(b.Size)}
}

func readType(id string, b api.NewPizzaType) menu.Type {
	return menu.Type{ID: id, Name: text(b.PizzaNm), Category: text(b.PizzaCateg), Image: text(b.PizzaImgURL)}.Normal()
}

func readPizza(id string, b api.NewPizza) menu.NewPizza {
	return menu.NewPizza{ID: id, TypeID: text(b.PizzaTypeID), Size: text(b.Size), Price: b.Price}.Normal()
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
