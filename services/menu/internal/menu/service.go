package menu

import "context"

// Store keeps the catalog. All methods return Unavailable.
type Store interface {
	// Current returns a catalog that includes every change committed before the call.
	Current(ctx context.Context) (*Catalog, error)
	// CurrentOrStale returns a catalog that includes every change made through this
	// store. Other changes may be missing for about a second, or for as long as the
	// database does not answer.
	CurrentOrStale(ctx context.Context) (*Catalog, error)
	Writer
}

// Writer changes the catalog.
type Writer interface {
	// PutType adds or replaces a type. It returns Conflict if another type has the
	// name.
	PutType(ctx context.Context, t Type) (Change, error)
	// DeleteType returns NotFound, and Conflict while the type has pizzas.
	DeleteType(ctx context.Context, id string) (Change, error)
	// PutPizza adds or replaces a pizza. It returns Invalid for an unknown type,
	// and Conflict if another pizza is this size of the type.
	PutPizza(ctx context.Context, p NewPizza) (Change, error)
	// DeletePizza returns NotFound, and Conflict if an order refers to the pizza.
	DeletePizza(ctx context.Context, id string) (Change, error)
}

// Change is the result of a write.
type Change struct {
	Version int64 // of the first catalog that includes the change
	Created bool  // added rather than replaced
}

// Service reads and changes the catalog.
type Service struct{ store Store }

// NewService returns a service on a store.
func NewService(store Store) *Service { return &Service{store} }

// Current returns a catalog that includes every change committed before the call,
// for callers that price by it. It returns Unavailable.
func (s *Service) Current(ctx context.Context) (*Catalog, error) { return s.store.Current(ctx) }

// CurrentOrStale returns a catalog for display, as Store.CurrentOrStale does. It
// returns Unavailable.
func (s *Service) CurrentOrStale(ctx context.Context) (*Catalog, error) {
	return s.store.CurrentOrStale(ctx)
}

// List returns the pizzas that match a filter, and their catalog, from
// CurrentOrStale. Callers must not change them. List returns Invalid and
// Unavailable.
func (s *Service) List(ctx context.Context, f Filter) ([]Pizza, *Catalog, error) {
	if err := f.Validate(); err != nil {
		return nil, nil, err
	}
	c, err := s.store.CurrentOrStale(ctx)
	if err != nil {
		return nil, nil, err
	}
	if f == (Filter{}) {
		return c.Pizzas, c, nil
	}
	return c.Filter(f), c, nil
}

// Find returns the pizza of a look-up, from CurrentOrStale. It returns Invalid,
// ErrUnknownPizza, ErrUnknownSize and Unavailable.
func (s *Service) Find(ctx context.Context, l Lookup) (Pizza, error) {
	if err := l.Validate(); err != nil {
		return Pizza{}, err
	}
	c, err := s.store.CurrentOrStale(ctx)
	if err != nil {
		return Pizza{}, err
	}
	return c.Find(l.Name, l.Size)
}

// Quote prices the lines of an order by the Current catalog, and returns its version.
// It returns Invalid and Unavailable. A pizza that is not sold is an error of its
// line.
func (s *Service) Quote(ctx context.Context, lines []Line) ([]Quoted, int64, error) {
	if err := ValidateLines(lines); err != nil {
		return nil, 0, err
	}
	c, err := s.store.Current(ctx)
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
