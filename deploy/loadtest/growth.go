package loadtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"example.com/pizza/migrations"
)

const (
	// grownRate is the rate of each path, at every size.
	grownRate = 200
	// browsingRate is that of the whole menu, which grows with its pizzas.
	browsingRate = 5
	// yearly is the number of orders of the real year.
	yearly = 21_350
	// grownTarget is how much a figure may exceed that of the first size.
	grownTarget = 1.3
	// reloaded is the time in which all services have read a changed menu.
	reloaded = 3 * time.Second
	// forget is what order sends every five minutes.
	forget = "SELECT forget_answers('1 day', 1000)"
)

// Growth is the result of measurements at several sizes of the data.
type Growth struct {
	Date    time.Time `json:"date"`
	Machine Machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	Round   string    `json:"round"`
	Rate    float64   `json:"rate"` // of each path
	Sizes   []*Size   `json:"sizes"`
	Failure string    `json:"failure,omitempty"` // that ended the run before the last size
	Rows    []*Grown  `json:"rows"`
}

// Size is an amount of data.
type Size struct {
	Name   string `json:"name"`
	Orders int    `json:"orders"`
	Lines  int    `json:"lines"`
	Pizzas int    `json:"pizzas"`

	years int
}

// sizes returns the sizes up to a multiple of the real year. More pizzas come after more orders.
func sizes(years int) []*Size {
	all := []*Size{{Name: "1×", years: 1}, {Name: "10×", years: 10}}
	if years < 100 {
		return append(all, &Size{Name: "10k pizzas", years: 10, Pizzas: 10_000})
	}
	return append(all, &Size{Name: "100×", years: 100},
		&Size{Name: "10k pizzas", years: 100, Pizzas: 10_000}, &Size{Name: "100k pizzas", years: 100, Pizzas: 100_000})
}

// Grown is a figure at each size.
type Grown struct {
	What   string    `json:"what"`
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"`
	Target float64   `json:"target,omitempty"` // most of the ratio to the first size
}

// ratio returns the worst ratio to the first size.
func (g *Grown) ratio() float64 { return slices.Max(g.Values) / g.Values[0] }

// background has patterns of the statements that run without a request.
func background() [][2]string {
	return [][2]string{
		{"relay: claim", `%FROM "order_outbox" o%SKIP LOCKED`},
		{"relay: publish", `%publish_events(%`},
		{"relay: delete", `DELETE FROM "order_outbox"%`},
		{"relay: measure", `%created_at) FROM "order_outbox"%`},
		{"relay: prune", `SELECT "prune_order_outbox"%`},
		{"events: prune", `SELECT prune_events(%`},
		{"kitchen: claim", `%WITH due AS MATERIALIZED%`},
		{"kitchen: hold", `%FROM event_delivery WHERE consumer%FOR UPDATE`},
		{"kitchen: delete", `DELETE FROM event_delivery%`},
		{"receipts: prune", `%forget_answers(%`},
		{"menu: has it changed?", `%SELECT mark::text AS mark, cache_key%`},
	}
}

// RunGrowth measures paths and background work while the data grows.
func RunGrowth(ctx context.Context, o Options) (_ *Growth, err error) {
	g := &Growth{Date: time.Now(), Rounds: o.Rounds, Round: o.Round.String(), Rate: grownRate, Sizes: sizes(o.Growth)}
	load := readLoad()
	r := &run{Options: o, idle: map[string]float64{}}
	settings := map[string]string{"shared_preload_libraries": "pg_stat_statements"}
	if r.system, err = start(ctx, o.Root, o.Progress, settings); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close(ctx)) }()
	if g.Machine, err = r.describe(ctx, load); err != nil {
		return nil, err
	}
	if _, err := r.admin.Exec(ctx, "CREATE EXTENSION pg_stat_statements"); err != nil {
		return nil, err
	}
	past := migrations.History{Dir: history(o.Root), Zone: time.UTC, Progress: o.Progress}
	if _, err := migrations.SeedHistory(ctx, r.AdminDSN(), past); err != nil {
		return nil, err
	}
	before := &Size{}
	for i, size := range g.Sizes {
		if err := g.grow(ctx, r, before, size); err != nil {
			err = fmt.Errorf("%s: %w", size.Name, err)
			if i == 0 || ctx.Err() != nil {
				return nil, err
			}
			g.keep(i)
			g.Failure = err.Error()
			break
		}
		before = size
	}
	return g, nil
}

// grow fills and measures a size.
func (g *Growth) grow(ctx context.Context, r *run, before, size *Size) error {
	began, copies := time.Now(), size.Pizzas/len(r.pizzas)
	if err := r.fill(ctx, before, size, copies); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if err := r.await(ctx, copies); err != nil {
		return fmt.Errorf("order a new pizza: %w", err)
	}
	filled := time.Now()
	if err := g.measure(ctx, r); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.Progress, "%s: %d orders with %d lines, %d pizzas; filled in %.0f s, measured in %.0f s\n",
		size.Name, size.Orders, size.Lines, size.Pizzas, filled.Sub(began).Seconds(), time.Since(filled).Seconds())
	return err
}

// keep leaves out all but the first sizes.
func (g *Growth) keep(n int) {
	g.Sizes = g.Sizes[:n]
	for _, row := range g.Rows {
		row.Values = row.Values[:n]
	}
}

// fill adds rows from one size to the next: the orders of the real year, and its pizzas,
// again under new ids. Events of a week and receipts of a day come with the orders.
func (r *run) fill(ctx context.Context, from, to *Size, copies int) error {
	batch := &pgx.Batch{}
	batch.Queue("SET LOCAL session_replication_role = replica") // no triggers, no foreign key checks
	batch.Queue(`INSERT INTO orders (order_id, member_id, bran_id, date, time, created_at, total_price)
		SELECT order_id || '-' || year, member_id, bran_id, date, time, created_at, total_price
		FROM orders, generate_series($1::int + 1, $2::int) year WHERE order_id NOT LIKE '%-%'`, max(from.years, 1), to.years)
	batch.Queue(`INSERT INTO order_detail (order_id, pizza_id, quantity, unit_price)
		SELECT order_id || '-' || year, pizza_id, quantity, unit_price
		FROM order_detail, generate_series($1::int + 1, $2::int) year
		WHERE order_id NOT LIKE '%-%'`, max(from.years, 1), to.years)
	added := (to.years - from.years) * yearly
	batch.Queue(`INSERT INTO event (id, type, subject, body, published_at)
		SELECT id, 'order.created', id, json_build_object('source', '/order', 'id', id), now() - random() * interval '7 days'
		FROM (SELECT gen_random_uuid()::text AS id FROM generate_series(1, $1::int / 52)) new`, added)
	batch.Queue(`INSERT INTO idempotency_key
			(member_id, key, fingerprint, order_id, status, content_type, location, body, created_at)
		SELECT id, id, '', id, 201, '', '', '', now() - random() * interval '1 day'
		FROM (SELECT gen_random_uuid()::text AS id FROM generate_series(1, $1::int / 365)) new`, added)
	if copies > 0 {
		batch.Queue("SET LOCAL session_replication_role = origin") // a trigger counts the version of the menu
		batch.Queue(`INSERT INTO pizza_types
			SELECT pizza_type_id || '-' || n, left(pizza_nm, 40) || ' ' || n, pizza_categ, pizza_img_url
			FROM pizza_types, generate_series(1, $1::int) n WHERE pizza_type_id NOT LIKE '%-%' ON CONFLICT DO NOTHING`, copies)
		batch.Queue(`INSERT INTO pizza SELECT pizza_id || '-' || n, pizza_type_id || '-' || n, size, price
			FROM pizza, generate_series(1, $1::int) n WHERE pizza_id NOT LIKE '%-%' ON CONFLICT DO NOTHING`, copies)
	}
	err := pgx.BeginFunc(ctx, r.admin, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
	if err != nil {
		return err
	}
	for _, sql := range []string{"VACUUM ANALYZE", "CHECKPOINT"} {
		if _, err := r.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return r.admin.QueryRow(ctx, `SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM order_detail),
		(SELECT count(*) FROM pizza)`).Scan(&to.Orders, &to.Lines, &to.Pizzas)
}

// await waits until the last of the added pizzas can be ordered.
func (r *run) await(ctx context.Context, copies int) error {
	if copies == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	last := r.order(r.buyers[0], basket{lines: []line{{fmt.Sprintf("bbq_ckn_l-%d", copies), 1}}})
	for {
		_, err := r.do(ctx, last)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// measure adds the figures of a size.
func (g *Growth) measure(ctx context.Context, r *run) error {
	var orders []request
	for _, token := range r.buyers {
		o := r.order(token, threeLines())
		o.key = true
		orders = append(orders, o)
	}
	paths := []struct {
		name     string
		rate     float64
		requests []request
	}{
		{"POST /order/", grownRate, orders},
		{"GET myorder, 3 orders", grownRate, r.myOrders(r.three...)},
		{"GET myorder, 100 orders", grownRate, r.myOrders(r.hundred...)},
		{"POST /menu/get_pizza_id/", grownRate, []request{r.lookUp(r.pizzas["bbq_ckn_l"])}},
		{browsing, browsingRate, []request{r.browse()}},
	}
	// The first call of a connection reads more.
	for _, sql := range []string{forget, "SELECT pg_stat_statements_reset()"} {
		if _, err := r.admin.Exec(ctx, sql); err != nil {
			return err
		}
	}
	answers, starts := map[string][]vegeta.Result{}, map[string][]float64{}
	for round := range r.Rounds + 1 { // the first fills caches
		for _, name := range services() { // a start prunes, too
			start, err := r.restart(name)(ctx)
			if err != nil {
				return err
			}
			starts[name] = append(starts[name], start)
		}
		for _, p := range paths {
			all, err := r.drive(ctx, p.name, inTurn(p.requests...), constant(p.rate, r.Round))
			if err != nil {
				return err
			}
			if i := slices.IndexFunc(all, func(a vegeta.Result) bool { return a.Error != "" }); i >= 0 {
				return fmt.Errorf("%s: %s", p.name, all[i].Error)
			}
			if round > 0 {
				answers[p.name] = append(answers[p.name], all...)
			}
		}
		if _, err := r.admin.Exec(ctx, forget); err != nil {
			return err
		}
	}
	for _, p := range paths {
		l := latency(p.name, r.Round, answers[p.name], nil)
		target := grownTarget
		if p.name == browsing { // is as large as the menu
			target = 0
		}
		g.add(p.name+", p50", "ms", l.P50.Seconds()*1000, target)
		g.add(p.name+", p99", "ms", l.P99.Seconds()*1000, target)
	}
	if err := g.addBackground(ctx, r); err != nil {
		return err
	}
	for _, name := range services() {
		g.add("start "+name, "ms", median(starts[name]), 0)
	}
	return g.addMenu(ctx, r)
}

// addBackground adds what the statements that run without a request have cost since the last reset.
func (g *Growth) addBackground(ctx context.Context, r *run) error {
	for _, statement := range background() {
		var ms, blocks float64
		err := r.admin.QueryRow(ctx, `SELECT sum(total_exec_time) / sum(calls),
			sum(shared_blks_hit + shared_blks_read)::float8 / sum(calls)
			FROM pg_stat_statements WHERE query LIKE $1`, statement[1]).Scan(&ms, &blocks)
		if err != nil {
			return fmt.Errorf("%s: %w", statement[0], err)
		}
		g.add(statement[0], "ms", ms, 0)
		g.add(statement[0], "blocks", blocks, grownTarget)
	}
	return nil
}

// addMenu adds what the menu takes: its size, the memory of those that hold it, and the processor time of a change.
func (g *Growth) addMenu(ctx context.Context, r *run) error {
	menu, err := r.do(ctx, r.browse())
	if err != nil {
		return err
	}
	g.add(browsing, "MiB", float64(len(menu))/(1<<20), 0)
	if !hasProc() {
		return nil
	}
	cost, err := r.costOf(ctx, "", func() (int, error) {
		_, err := r.admin.Exec(ctx, "UPDATE pizza SET price = price WHERE pizza_id = 'bbq_ckn_l'")
		time.Sleep(reloaded)
		return 1, err
	})
	if err != nil {
		return err
	}
	g.add("a change of the menu, services", "CPU-ms", cost.Services.Seconds()*1000, 0)
	g.add("a change of the menu, PostgreSQL", "CPU-ms", cost.Database.Seconds()*1000, 0)
	for _, name := range services() {
		used, err := memory(r.Service(name).Process().PID())
		if err != nil {
			return err
		}
		g.add("memory "+name, "MiB", used, 0)
	}
	return nil
}

func (g *Growth) add(what, unit string, value, target float64) {
	for _, row := range g.Rows {
		if row.What == what && row.Unit == unit {
			row.Values = append(row.Values, value)
			return
		}
	}
	g.Rows = append(g.Rows, &Grown{What: what, Unit: unit, Values: []float64{value}, Target: target})
}
