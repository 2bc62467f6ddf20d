// Package postgres opens a service's connection pool and distinguishes a database
// that cannot be used from a defect of the service.
//
// Open does not need the database: a service starts without it, answers 503,
// becomes ready when the pool can connect, and recovers by itself when the
// database was away. Stores pass every error through Fault, once.
package postgres

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/secret"
)

// Config is where the database is and who connects to it.
type Config struct {
	Host             string        `env:"DB_HOST,required,notEmpty" doc:"Host of the PostgreSQL server, or several ones separated by commas, each with its port if that differs from DB_PORT; the first that accepts writes is used"`
	Port             uint16        `env:"DB_PORT" envDefault:"5432" rule:"min=1,max=65535" doc:"Port of the PostgreSQL server"`
	Name             string        `env:"DB_NAME,required,notEmpty" doc:"Name of the database"`
	User             string        `env:"DB_USER,required,notEmpty" doc:"Role of this service in the database"`
	Password         secret.Text   `env:"DB_PASSWORD,required,notEmpty" doc:"Password of the role"`
	SSLMode          string        `env:"DB_SSLMODE" envDefault:"prefer" rule:"oneof=disable|allow|prefer|require|verify-ca|verify-full" doc:"TLS to the database: disable, prefer, require, verify-ca or verify-full, as in libpq"`
	SSLRootCert      string        `env:"DB_SSLROOTCERT" doc:"File with trusted certificate authorities for DB_SSLMODE; empty uses those of the system"`
	MaxConns         int32         `env:"DB_MAX_CONNS" envDefault:"10" rule:"min=1" doc:"Maximum open database connections per process; the charts set database.maxConnections"`
	ConnectTimeout   time.Duration `env:"DB_CONNECT_TIMEOUT" envDefault:"3s" rule:"positive" doc:"Maximum wait for a new connection"`
	StatementTimeout time.Duration `env:"DB_STATEMENT_TIMEOUT" envDefault:"5s" doc:"Maximum run time of one statement, enforced by the server"`
	Prepared         string        `env:"DB_PREPARED_STATEMENTS" envDefault:"on" rule:"oneof=on|off" doc:"Use prepared statements: on or off; off behind a pooler in transaction mode that does not support them, such as PgBouncer before 1.21"`
}

// Validate returns an error if DB_HOST has no host, or a wrong one.
func (c Config) Validate() error {
	if err := pgurl.CheckHosts(c.Host); err != nil && c.Host != "" {
		return fmt.Errorf("DB_HOST: %w", err)
	}
	return nil
}

// Open returns a pool that connects when it is first used. application names
// the connections in pg_stat_activity and the pool in registry.
func Open(ctx context.Context, c Config, application string, registry prometheus.Registerer) (*pgxpool.Pool, error) {
	return open(ctx, c, "", application, registry)
}

// OpenReplica is Open for the servers in hosts, which has the form of Config.Host. Of
// several servers, the first standby is used, or the first server if none is one.
func OpenReplica(
	ctx context.Context, c Config, hosts, application string, registry prometheus.Registerer,
) (*pgxpool.Pool, error) {
	c.Host = hosts
	return open(ctx, c, "prefer-standby", application, registry)
}

func open(
	ctx context.Context, c Config, server, application string, registry prometheus.Registerer,
) (*pgxpool.Pool, error) {
	pool, err := pgurl.ParsePool(pgurl.Target{
		Host: c.Host, Port: c.Port, Database: c.Name, User: c.User, Password: string(c.Password),
		Parameters: map[string]string{
			"sslmode": c.SSLMode, "sslrootcert": c.SSLRootCert, "application_name": application,
			"target_session_attrs": server,
		},
	}.String())
	if err != nil {
		return nil, fmt.Errorf("the database settings (DB_*) cannot be used together: %w", err)
	}
	pool.ConnConfig.ConnectTimeout = c.ConnectTimeout
	pool.ConnConfig.RuntimeParams["statement_timeout"] = strconv.FormatInt(c.StatementTimeout.Milliseconds(), 10)
	// Dates are text as 2015-01-31 on every server. Poolers keep this parameter for each
	// client, and set it again unless it is spelled as servers do.
	pool.ConnConfig.RuntimeParams["DateStyle"] = "ISO, MDY"
	pool.ConnConfig.Tracer = newTracer(c, newMetrics(registry, application))
	pool.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		registerNumeric(conn.TypeMap())
		return nil
	}
	pool.PrepareConn = isReusable
	pool.MaxConns = c.MaxConns
	if c.Prepared == "off" {
		// What a statement takes and gives is still asked only once, and kept here;
		// then the unnamed statement is parsed and run within one transaction.
		pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	p, err := pgxpool.NewWithConfig(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	show(registry, p, application)
	return p, nil
}

// Version returns the newest migration that the named version table holds, or 0
// when there is none.
func Version(ctx context.Context, pool *pgxpool.Pool, table string) (int64, error) {
	var v int64
	query := "SELECT coalesce(max(version_id), 0) FROM " + pgx.Identifier{table}.Sanitize() + " WHERE is_applied"
	if err := pool.QueryRow(ctx, query).Scan(&v); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return v, nil
}
