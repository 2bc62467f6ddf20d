package menu

import "context"

// Store keeps the catalog. Every method returns Unavailable when it cannot be
// reached.
type Store interface {
	// Catalog returns the whole catalog with every change that was committed before
	// the call.
	Catalog(ctx context.Context) (*Catalog, error)
	// Recent returns a catalog that may lack the changes of about a second, or those
	// made while the store cannot be reached. It has those made through this store.
	Recent(ctx context.Context) (*Catalog, error)
	Writer
}

// Writer changes the catalog.
type Writer interface {
	// PutType adds or replaces a type. It returns Conflict when another type has
	// the name.
	PutType(ctx context.Context, t Type) (Change, error)
	// DeleteType returns NotFound, and Conflict while the type has pizzas.
	DeleteType(ctx context.Context, id string) (Change, error)
	// PutPizza adds or replaces a pizza. It returns Invalid for an unknown type,
	// and Conflict when another pizza is this size of the type.
	PutPizza(ctx context.Context, p NewPizza) (Change, error)
	// DeletePizza returns NotFound, and Conflict when an order refers to the pizza.
	DeletePizza(ctx context.Context, id string) (Change, error)
}

// Change is what a write did.
type Change struct {
	Version int64 // of the catalog that has it
	Created bool  // added, not replaced
}

// Service answers questions about the catalog, and changes it.
type Service struct{ store Store }

// NewService returns a service on a store.
func NewService(store Store) *Service { return &Service{store} }

// Catalog returns the whole catalog with every change that was committed before
// the call, for callers that price by it. It returns Unavailable.
func (s *Service) Catalog(ctx context.Context) (*Catalog, error) { return s.store.Catalog(ctx) }

// Recent returns a catalog for readers of the menu: a change through another
// replica may be missing for about a second, and while the database does not
// answer, what was last known is good enough. It returns Unavailable.
func (s *Service) Recent(ctx context.Context) (*Catalog, error) { return s.store.Recent(ctx) }

// List returns the pizzas that a filter asks for, and the catalog they are of.
// Callers must not change them. It is as recent as Recent. It returns Invalid and
// Unavailable.
func (s *Service) List(ctx context.Context, f Filter) ([]Pizza, *Catalog, error) {
	if err := f.Validate(); err != nil {
		return nil, nil, err
	}
	c, err := s.store.Recent(ctx)
	if err != nil {
		return nil, nil, err
	}
	if f == (Filter{}) {
		return c.Pizzas, c, nil
	}
	return c.Filter(f), c, nil
}

// Find returns the pizza that a look-up names, as recent as Recent. It returns Invalid,
// ErrUnknownPizza, ErrUnknownSize and Unavailable.
func (s *Service) Find(ctx context.Context, l Lookup) (Pizza, error) {
	if err := l.Validate(); err != nil {
		return Pizza{}, err
	}
	c, err := s.store.Recent(ctx)
	if err != nil {
		return Pizza{}, err
	}
	return c.Find(l.Name, l.Size)
}

// Quote prices the lines of an order by one version of the catalog, which it
// returns too. The version has every change that was committed before the call.
// It returns Invalid and Unavailable; a pizza that is not sold is an error of its
// line.
func (s *Service) Quote(ctx context.Context, lines []Line) ([]Quoted, int64, error) {
	if err := ValidateLines(lines); err != nil {
		return nil, 0, err
	}
	c, err := s.store.Catalog(ctx)
	if err != nil {
		return nil, 0, err
	}
	return c.Quote(lines), c.Version, nil
}

// PutType adds or replaces a type. It returns Invalid, Conflict and Unavailable.
func (s *Service) PutType(ctx context.Context, t Type) (Change, error) {
	if err := t.Validate(); err != nil {
		return Change{}, err
	}
	return s.store.PutType(ctx, t)
}

// DeleteType removes a type. It returns Invalid, NotFound, Conflict and
// Unavailable.
func (s *Service) DeleteType(ctx context.Context, id string) (Change, error) {
	if err := ValidateID(id); err != nil {
		return Change{}, err
	}
	return s.store.DeleteType(ctx, id)
}

// PutPizza adds or replaces a pizza. It returns Invalid, Conflict and
// Unavailable.
func (s *Service) PutPizza(ctx context.Context, p NewPizza) (Change, error) {
	if err := p.Validate(); err != nil {
		return Change{}, err
	}
	return s.store.PutPizza(ctx, p)
}

// DeletePizza removes a pizza. It returns Invalid, NotFound, Conflict and
// Unavailable.
func (s *Service) DeletePizza(ctx context.Context, id string) (Change, error) {
	if err := ValidateID(id); err != nil {
		return Change{}, err
	}
	return s.store.DeletePizza(ctx, id)
}
