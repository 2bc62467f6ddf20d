package parity

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Replay sends requests to both systems at the same time, and compares the answers. If ctx ends,
// the report has what was compared until then.
func Replay(ctx context.Context, o Options, requests []Request, leftOut int) (*Report, error) {
	s := newSystems(o)
	defer s.close()
	if err := s.login(ctx, requests); err != nil {
		return nil, err
	}
	r := newRecorder(o)
	r.leftOut(leftOut)
	var group errgroup.Group
	group.SetLimit(o.Concurrency)
	for i := range requests {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			result := s.compare(ctx, &requests[i], nil)
			if ctx.Err() == nil {
				r.add(result)
			}
			return ctx.Err()
		})
	}
	err := group.Wait()
	return r.now(), err
}
