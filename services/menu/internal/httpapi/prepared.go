package httpapi

import (
	"sync"

	"example.com/pizza/services/menu/api"
	"example.com/pizza/services/menu/internal/menu"
)

// prepared holds the complete lists of one catalog, encoded.
type prepared struct {
	mu   sync.RWMutex
	last lists
}

type lists struct {
	of                  *menu.Catalog
	menu, types, prices document
}

func (p *prepared) menu(c *menu.Catalog) (document, error) {
	l, err := p.lists(c)
	return l.menu, err
}

func (p *prepared) types(c *menu.Catalog) (document, error) {
	l, err := p.lists(c)
	return l.types, err
}

func (p *prepared) prices(c *menu.Catalog) (document, error) {
	l, err := p.lists(c)
	return l.prices, err
}

// lists returns the lists of a catalog, which it encodes for a new catalog while concurrent
// callers wait. Catalogs are immutable, so equal pointers are equal catalogs.
func (p *prepared) lists(c *menu.Catalog) (lists, error) {
	p.mu.RLock()
	l := p.last
	p.mu.RUnlock()
	if l.of == c {
		return l, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last.of == c {
		return p.last, nil
	}
	l, err := write(c)
	if err == nil {
		p.last = l
	}
	return l, err
}

func write(c *menu.Catalog) (lists, error) {
	types := make([]api.PizzaType, len(c.Types))
	for i, t := range c.Types {
		types[i] = pizzaType(t)
	}
	l := lists{of: c}
	for _, list := range []struct {
		to    *document
		value any
	}{{&l.menu, pizzaList(c, c.Pizzas)}, {&l.types, types}, {&l.prices, priceList(c)}} {
		d, err := newDocument(list.value)
		if err != nil {
			return lists{}, err
		}
		if *list.to, err = d.withGzip(); err != nil {
			return lists{}, err
		}
	}
	return l, nil
}

func pizzaList(c *menu.Catalog, pizzas []menu.Pizza) []api.Pizza {
	out := make([]api.Pizza, len(pizzas))
	for i, p := range pizzas {
		t := c.Type(p)
		out[i] = api.Pizza{
			PizzaID: p.ID, PizzaTypeID: t.ID, PizzaNm: t.Name, PizzaTypePizzaNm: t.Name,
			PizzaCateg: t.Category, PizzaImgURL: t.Image, Size: p.Size, Price: p.Price,
		}
	}
	return out
}
