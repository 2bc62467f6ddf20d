package migrations

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Connections are how many each service may have open at a time, all its
// processes together. 0 is not said.
type Connections struct{ Login, Menu, Order int }

func (c Connections) byRole() []roleConnections {
	return []roleConnections{{"login_svc", c.Login}, {"menu_svc", c.Menu}, {"order_svc", c.Order}}
}

type roleConnections struct {
	role string
	most int
}

// LimitConnections gives the roles of the services a CONNECTION LIMIT, or takes
// it away where nothing is said: one service that has gone wild cannot take the
// connections of the others. adminDSN is as for ApplyRoles.
func LimitConnections(ctx context.Context, adminDSN string, c Connections) error {
	return connected(ctx, adminDSN, func(conn *pgx.Conn) error {
		for _, r := range c.byRole() {
			limit := r.most
			if limit == 0 {
				limit = -1
			}
			if err := retry(ctx, func() error {
				_, err := conn.Exec(ctx, fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d", r.role, limit))
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// CheckConnections returns an error that names each role whose limit is less than
// its service may come to need. Any role may ask.
func CheckConnections(ctx context.Context, dsn string, c Connections) error {
	return connected(ctx, dsn, func(conn *pgx.Conn) error {
		var low []string
		for _, r := range c.byRole() {
			if r.most == 0 {
				continue
			}
			var limit int
			if err := conn.QueryRow(ctx, "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", r.role).Scan(&limit); err != nil {
				return fmt.Errorf("connection limit of %s: %w", r.role, err)
			}
			if limit >= 0 && limit < r.most {
				low = append(low, fmt.Sprintf("%s may open %d, and needs up to %d", r.role, limit, r.most))
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
