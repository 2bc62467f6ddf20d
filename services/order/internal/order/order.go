// Package order holds the rules by which orders are placed and read.
//
// Service.Place prices all lines with one call to the menu (Pricer), adds up the
// total, and hands the finished order to its caller's keep function, which stores
// it whole and announces it, or does neither. Reading goes through the Store,
// always for one member. The package knows neither HTTP nor SQL.
package order

import (
	"time"

	"example.com/pizza/pkg/money"
)

// Order is a placed order.
type Order struct {
	ID       string
	MemberID string
	BranchID *string // nil in rows of the old system that name none
	// Placed is when, in the shop's time zone; the zero time in rows of the old
	// system, which have only Date and Time.
	Placed time.Time
	Date   string        // YYYY-MM-DD in the shop's time zone
	Time   string        // HH:MM:SS in the shop's time zone
	Total  *money.Amount // nil where a line has no price
	Lines  []Line
}

// Line is one pizza of an order, at the price of that moment.
type Line struct {
	PizzaID   *string // nil in rows of the old system that name none
	Quantity  int
	UnitPrice *money.Amount // nil in lines of the old system that have none
}

// Branch is a shop that bakes orders.
type Branch struct {
	ID   string
	Name string
}

// Position is a place in a member's list of orders, newest first: that of the
// last order that was listed.
type Position struct {
	Placed int64  // microseconds since 1970; 0 for an order of the old system without one
	Date   string // breaks ties, and is the order where Placed is 0
	Time   string
	ID     string
}

// Position returns the place of the order in its member's list.
func (o Order) Position() Position {
	p := Position{Date: o.Date, Time: o.Time, ID: o.ID}
	if !o.Placed.IsZero() {
		p.Placed = o.Placed.UnixMicro()
	}
	return p
}
