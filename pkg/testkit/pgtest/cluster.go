package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/pgurl"
)

// cluster is a server with its databases.
type cluster struct {
	base      url.URL
	pool      *pgxpool.Pool
	mu        sync.Mutex
	templates map[string]*template
}

// template is a template database as this process knows it.
type template struct {
	mu   sync.Mutex // held while it is built
	done bool
}

func openCluster(ctx context.Context, address string) (*cluster, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" {
		// The error would contain the password in the address.
		return nil, errors.New("TEST_DATABASE_URL must look like postgres://user:password@host:port/postgres")
	}
	base.Path = "/postgres"
	config, err := pgurl.ParsePool(base.String())
	if err != nil {
		return nil, fmt.Errorf("TEST_DATABASE_URL: %w", err)
	}
	// No statement is run twice.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	return &cluster{base: *base, pool: pool, templates: map[string]*template{}}, nil
}

func (c *cluster) close() { c.pool.Close() }

// address returns the superuser's address of a database.
func (c *cluster) address(database string) string {
	u := c.base
	u.Path = "/" + database
	return u.String()
}

// template returns the name of the database for the key, and builds it if missing.
func (c *cluster) template(ctx context.Context, key string, build func(context.Context, string) error) (string, error) {
	sum := sha256.Sum256([]byte(key))
	name := "tmpl_" + hex.EncodeToString(sum[:8])

	c.mu.Lock()
	t := c.templates[name]
	if t == nil {
		t = new(template)
		c.templates[name] = t
	}
	c.mu.Unlock()

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return name, nil
	}
	if err := c.buildOnce(ctx, name, int64(binary.BigEndian.Uint64(sum[:8])), build); err != nil {
		return "", err
	}
	t.done = true
	return name, nil
}

// buildOnce builds a template database unless another process has done so. The
// database gets its final name last. The remains of a killed process are rebuilt.
func (c *cluster) buildOnce(ctx context.Context, name string, lock int64, build func(context.Context, string) error) (err error) {
	// The lock belongs to the connection, which is not from the pool, so that build
	// can use databases of this package itself.
	conn, err := pgurl.Connect(ctx, c.base.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lock); err != nil {
		return err
	}
	var built bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&built); err != nil || built {
		return err
	}
	unfinished := name + "_unfinished"
	if err := c.drop(ctx, unfinished); err != nil {
		return err
	}
	if err := c.create(ctx, unfinished, "template0"); err != nil {
		return err
	}
	if err := build(ctx, c.address(unfinished)); err != nil {
		return errors.Join(err, c.drop(context.WithoutCancel(ctx), unfinished))
	}
	// A template cannot be copied while a client is connected, so no client may
	// connect from now on. RENAME waits some seconds for the last connections to close.
	for _, statement := range []string{
		"ALTER DATABASE " + quote(unfinished) + " ALLOW_CONNECTIONS false",
		"ALTER DATABASE " + quote(unfinished) + " RENAME TO " + quote(name),
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// create copies a template, and may run concurrently. file_copy is about twice as
// fast here as the default, wal_log, which is for servers that must not be slowed
// down by a checkpoint.
func (c *cluster) create(ctx context.Context, name, template string) error {
	_, err := c.pool.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+" ENCODING 'UTF8' STRATEGY file_copy")
	return err
}

func (c *cluster) drop(ctx context.Context, name string) error {
	_, err := c.pool.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }
