package loadtest

import (
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/pizza/migrations"
)

// line is a line of an order.
type line struct {
	pizza    string
	quantity int
}

// basket is an order of the real year.
type basket struct {
	placed time.Time
	lines  []line
}

// threeLines is the order of the scenarios that compare with a yardstick.
func threeLines() basket {
	return basket{lines: []line{{"bbq_ckn_l", 1}, {"hawaiian_m", 2}, {"classic_dlx_s", 1}}}
}

// json returns the body of POST /order/.
func (b basket) json() string {
	lines := make([]string, len(b.lines))
	for i, l := range b.lines {
		lines[i] = fmt.Sprintf(`{"pizza_id":%q,"quantity":%d}`, l.pizza, l.quantity)
	}
	return fmt.Sprintf(`{"branchId":%q,"lines":[%s]}`, migrations.DemoBranch, strings.Join(lines, ","))
}

// readHistory returns the orders of the real year, in the order of time.
func readHistory(folder string) ([]basket, error) {
	orders, err := readCSV(filepath.Join(folder, "orders.csv.gz"), "order_id", "date", "time")
	if err != nil {
		return nil, err
	}
	lines, err := readCSV(filepath.Join(folder, "order_details.csv.gz"), "order_id", "pizza_id", "quantity")
	if err != nil {
		return nil, err
	}
	ofOrder := map[string][]line{}
	for _, l := range lines {
		quantity, err := strconv.Atoi(l[2])
		if err != nil {
			return nil, fmt.Errorf("quantity of order %s: %w", l[0], err)
		}
		ofOrder[l[0]] = append(ofOrder[l[0]], line{l[1], quantity})
	}
	var baskets []basket
	for _, o := range orders {
		placed, err := time.Parse(time.DateTime, o[1]+" "+o[2])
		if err != nil {
			return nil, fmt.Errorf("order %s: %w", o[0], err)
		}
		baskets = append(baskets, basket{placed, ofOrder[o[0]]})
	}
	slices.SortStableFunc(baskets, func(a, b basket) int { return a.placed.Compare(b.placed) })
	return baskets, nil
}

// readCSV returns the named columns of a compressed file.
func readCSV(name string, columns ...string) (rows [][]string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := csv.NewReader(unpacked)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		row := make([]string, len(columns))
		for i, column := range columns {
			at := slices.Index(head, column)
			if at < 0 {
				return nil, fmt.Errorf("%s: no column %q", name, column)
			}
			row[i] = record[at]
		}
		rows = append(rows, row)
	}
}

// busiestDay returns the orders of the day that has the most.
func busiestDay(year []basket) []basket {
	days := map[string][]basket{}
	for _, b := range year {
		day := b.placed.Format(time.DateOnly)
		days[day] = append(days[day], b)
	}
	var busiest []basket
	for _, day := range days {
		if len(day) > len(busiest) || len(day) == len(busiest) && day[0].placed.Before(busiest[0].placed) {
			busiest = day
		}
	}
	return busiest
}

// betweenRequests is the pause between the requests of a visit in a replay. It is not
// compressed with the day: a page makes its requests one after another on any day.
const betweenRequests = 50 * time.Millisecond

// replayOf returns the requests of a day's visits, and when they are due if the hours from
// the first to the last order take as long as given.
func replayOf(day []basket, long time.Duration, visit func(b basket, n int) []request) ([]request, schedule) {
	type dueRequest struct {
		request
		due time.Duration
	}
	open := day[0].placed.Truncate(time.Hour)
	hours := day[len(day)-1].placed.Truncate(time.Hour).Add(time.Hour).Sub(open)
	var all []dueRequest
	for n, b := range day {
		due := time.Duration(float64(b.placed.Sub(open)) / float64(hours) * float64(long))
		for _, r := range visit(b, n) {
			all = append(all, dueRequest{r, due})
			due += betweenRequests
		}
	}
	slices.SortStableFunc(all, func(a, b dueRequest) int { return cmp.Compare(a.due, b.due) })
	requests, due := make([]request, len(all)), make(schedule, len(all))
	for i, r := range all {
		requests[i], due[i] = r.request, r.due
	}
	return requests, due
}

// visit returns the requests of the nth customer, who comes to order a basket: the menu,
// each pizza by its name, the order with a key, and the last of the own orders.
func (s *system) visit(b basket, n int) []request {
	token := s.buyers[n%len(s.buyers)]
	requests := []request{s.browse()}
	for _, l := range b.lines {
		requests = append(requests, s.lookUp(s.pizzas[l.pizza]))
	}
	order := s.order(token, b)
	order.key = true
	return append(requests, order, s.lastOrders(token, "?limit=10"))
}
