package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Connections are how many each service may have open at a time, all its
// processes together. 0 is no limit, and nil is not said.
type Connections struct{ Login, Menu, Order *int }

func (c Connections) byRole() []roleConnections {
	return []roleConnections{{"login_svc", c.Login}, {"menu_svc", c.Menu}, {"order_svc", c.Order}}
}

type roleConnections struct {
	role string
	most *int
}

// Limit is the CONNECTION LIMIT that a role has.
type Limit struct {
	Role string
	Most int  // -1 is no limit, as in PostgreSQL
	Kept bool // from before, because nothing was said
}

// LimitConnections gives the roles of the services a CONNECTION LIMIT, so that one
// service that has gone wild cannot take the connections of the others. A role of
// which nothing is said keeps its own. adminDSN is as for ApplyRoles.
func LimitConnections(ctx context.Context, adminDSN string, c Connections) (limits []Limit, err error) {
	err = connected(ctx, adminDSN, func(conn *pgx.Conn) error {
		for _, r := range c.byRole() {
			if r.most != nil {
				limit := *r.most
				if limit == 0 {
					limit = -1
				}
				if err := administer(ctx, conn, fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", r.role, limit)); err != nil {
					return fmt.Errorf("connection limit of %s: %w", r.role, err)
				}
			}
			limit, err := connectionLimit(ctx, conn, r.role)
			if err != nil {
				return err
			}
			limits = append(limits, Limit{r.role, limit, r.most == nil})
		}
		return nil
	})
	return limits, err
}

func connectionLimit(ctx context.Context, conn *pgx.Conn, role string) (limit int, err error) {
	if err := conn.QueryRow(ctx, "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", role).Scan(&limit); err != nil {
		return 0, fmt.Errorf("connection limit of %s: %w", role, err)
	}
	return limit, nil
}

// CheckConnections returns an error that names each role whose limit is lower
// than its service may need. Any role may call it.
func CheckConnections(ctx context.Context, dsn string, c Connections) error {
	return connected(ctx, dsn, func(conn *pgx.Conn) error {
		var low []string
		for _, r := range c.byRole() {
			if r.most == nil {
				continue
			}
			limit, err := connectionLimit(ctx, conn, r.role)
			if err != nil {
				return err
			}
			if limit >= 0 && limit < *r.most {
				low = append(low, fmt.Sprintf("%s may open %d, and needs up to %d", r.role, limit, *r.most))
			}
		}
		if len(low) > 0 {
			return fmt.Errorf("the connection limits of the roles are too low: %s (migrate roles raises them)", strings.Join(low, "; "))
		}
		return nil
	})
}

func connected(ctx context.Context, dsn string, do func(*pgx.Conn) error) (err error) {
	c, err := parse(ctx, dsn)
	if err != nil {
		return err
	}
	conn, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return do(conn)
}
