// Package pgurl turns the address of a PostgreSQL server, such as
// postgres://user:password@host:port/database, into settings for pgx.
//
// The address is all there is: what it leaves open has pgx's default. pgx itself
// would also read libpq's environment variables (PGSERVICE, PGHOST, PGSSLMODE, …)
// and files in the home directory (~/.pgpass, ~/.postgresql/root.crt, …), so that
// a developer's setting for another database would break this one or, worse,
// lead there. Every connection of this repository that is not a test's own is
// opened through this package; the linter sees to it.
//
// Passwords are prepared as PostgreSQL and libpq prepare them, by SASLprep. pgx
// uses PRECIS instead, by which ½ is another password.
package pgurl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Target names a database and who connects to it.
type Target struct {
	// Host is a host, or several ones separated by commas, each with a port if that
	// differs from Port. Connections go to the first of several that accepts writes.
	Host     string
	Port     uint16
	Database string
	User     string
	Password string
	// Parameters are further settings, such as sslmode; empty ones are left out.
	Parameters map[string]string
}

// CheckHosts returns an error unless hosts can be the Host of a Target.
func CheckHosts(hosts string) error {
	for host := range strings.SplitSeq(hosts, ",") {
		name, port, err := net.SplitHostPort(host)
		if err != nil { // without a port
			name, port = strings.Trim(host, "[]"), "5432"
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("host %q: the port must be a number from 1 to 65535", host)
		}
		if strings.ContainsAny(name, "/@?#% ") || name == "" || strings.Contains(name, ":") && net.ParseIP(name) == nil {
			return fmt.Errorf("%q is no host, in %q", host, hosts)
		}
	}
	return nil
}

// String returns the address of the target.
func (t Target) String() string {
	hosts := strings.Split(t.Host, ",")
	for i, host := range hosts {
		if _, _, err := net.SplitHostPort(host); err != nil { // without a port
			hosts[i] = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(int(t.Port)))
		}
	}
	query := url.Values{}
	if len(hosts) > 1 {
		query.Set("target_session_attrs", "read-write") // neither a standby nor a fenced primary
	}
	for name, value := range t.Parameters {
		if value != "" {
			query.Set(name, value)
		}
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(t.User, t.Password),
		Host: strings.Join(hosts, ","), Path: "/" + t.Database,
		RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20"), // libpq takes a plus for a plus
	}
	return u.String()
}

// Parse reads an address. Its errors never repeat the password.
func Parse(address string) (*pgx.ConnConfig, error) {
	address, err := alone(address)
	if err != nil {
		return nil, err
	}
	c, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, explain(err)
	}
	c.Password = Prepare(c.Password)
	return c, nil
}

// ParsePool is Parse for a pool; the address may have pgxpool's parameters.
func ParsePool(address string) (*pgxpool.Config, error) {
	address, err := alone(address)
	if err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, explain(err)
	}
	c.ConnConfig.Password = Prepare(c.ConnConfig.Password)
	return c, nil
}

// Connect opens a connection.
func Connect(ctx context.Context, address string) (*pgx.Conn, error) {
	c, err := Parse(address)
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, c)
}

// NewPool opens a pool, which connects when it is first used.
func NewPool(ctx context.Context, address string) (*pgxpool.Pool, error) {
	c, err := ParsePool(address)
	if err != nil {
		return nil, err
	}
	return pgxpool.NewWithConfig(ctx, c)
}

// ForgetEnvironment removes libpq's variables from the environment of this
// process, and so of its children. pgx has no other way not to read them:
// PGSERVICE, for example, cannot be overridden by an address.
func ForgetEnvironment() {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PG") {
			_ = os.Unsetenv(name) // fails for names that no environment can have
		}
	}
}

// errAddress does not repeat the address, which holds a password.
var errAddress = errors.New("the address of the database cannot be read: want postgres://user:password@host:port/database")

// alone forgets the environment and returns the address with an empty value for
// each file that pgx would look for in the home directory. Of a parameter that is
// there twice the last one counts, so those of the address win.
func alone(address string) (string, error) {
	ForgetEnvironment()
	scheme, rest, found := strings.Cut(address, "://")
	if !found || scheme != "postgres" && scheme != "postgresql" {
		return "", errAddress
	}
	// As libpq does: an @ before the path ends the user and the password.
	start := len(scheme) + len("://")
	if i := strings.IndexAny(rest, "@/"); i >= 0 && rest[i] == '@' {
		start += i + 1
	}
	head, query, _ := strings.Cut(address[start:], "?")
	return address[:start] + head + "?passfile=&sslcert=&sslkey=&sslrootcert=&" + query, nil
}

// explain returns an error without the address, which holds a password.
func explain(err error) error {
	if file := new(fs.PathError); errors.As(err, &file) {
		return fmt.Errorf("a file that the address of the database names cannot be read: %w", file)
	}
	if strings.Contains(err.Error(), "unable to add CA to cert pool") {
		return errors.New("the file that the address of the database names as sslrootcert holds no certificate")
	}
	return errAddress
}
