package snapshot

import (
	"context"

	"example.com/pizza/services/menu/internal/menu"
)

// wrote ends what is older than this replica's own write, without waiting for
// its announcement.
func (k *Keeper) wrote(c menu.Change, err error) (menu.Change, error) {
	if err == nil {
		k.announce(c.Version)
	}
	return c, err
}

// PutType is that of the source, and seen by the next read.
func (k *Keeper) PutType(ctx context.Context, t menu.Type) (menu.Change, error) {
	return k.wrote(k.source.PutType(ctx, t))
}

// DeleteType is that of the source, and seen by the next read.
func (k *Keeper) DeleteType(ctx context.Context, id string) (menu.Change, error) {
	return k.wrote(k.source.DeleteType(ctx, id))
}

// PutPizza is that of the source, and seen by the next read.
func (k *Keeper) PutPizza(ctx context.Context, p menu.NewPizza) (menu.Change, error) {
	return k.wrote(k.source.PutPizza(ctx, p))
}

// DeletePizza is that of the source, and seen by the next read.
func (k *Keeper) DeletePizza(ctx context.Context, id string) (menu.Change, error) {
	return k.wrote(k.source.DeletePizza(ctx, id))
}
