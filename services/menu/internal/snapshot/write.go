package snapshot

import (
	"context"

	"example.com/pizza/services/menu/internal/menu"
)

// invalidate drops the snapshot after a write, so that the next read includes it.
func (k *Keeper) invalidate(ctx context.Context, c menu.Change, err error) (menu.Change, error) {
	if err == nil {
		k.latest.Invalidate(ctx)
	}
	return c, err
}

// PutType implements menu.Writer.
func (k *Keeper) PutType(ctx context.Context, t menu.Type) (menu.Change, error) {
	c, err := k.source.PutType(ctx, t)
	return k.invalidate(ctx, c, err)
}

// DeleteType implements menu.Writer.
func (k *Keeper) DeleteType(ctx context.Context, id string) (menu.Change, error) {
	c, err := k.source.DeleteType(ctx, id)
	return k.invalidate(ctx, c, err)
}

// PutPizza implements menu.Writer.
func (k *Keeper) PutPizza(ctx context.Context, p menu.NewPizza) (menu.Change, error) {
	c, err := k.source.PutPizza(ctx, p)
	return k.invalidate(ctx, c, err)
}

// DeletePizza implements menu.Writer.
func (k *Keeper) DeletePizza(ctx context.Context, id string) (menu.Change, error) {
	c, err := k.source.DeletePizza(ctx, id)
	return k.invalidate(ctx, c, err)
}
