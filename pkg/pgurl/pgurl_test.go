package pgurl_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/testkit/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// hostile returns a value for each libpq variable that breaks every connection or
// changes its behavior (PostgreSQL documentation, 34.15).
func hostile(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGSSLNEGOTIATION": "wrong", "PGPORT": "1,2,3", "PGDATABASE": "wrong",
		"PGUSER": "wrong", "PGPASSWORD": "wrong", "PGPASSFILE": t.TempDir(), "PGREQUIREAUTH": "wrong", "PGCHANNELBINDING": "wrong",
		"PGSERVICE": "wrong", "PGSERVICEFILE": "/nowhere", "PGOPTIONS": "-c search_path=wrong", "PGAPPNAME": "wrong",
		"PGSSLMODE": "wrong", "PGREQUIRESSL": "1", "PGSSLCOMPRESSION": "1", "PGSSLCERT": "/nowhere", "PGSSLKEY": "/nowhere",
		"PGSSLCERTMODE": "", "PGSSLROOTCERT": "/nowhere", "PGSSLCRL": "/nowhere", "PGSSLCRLDIR": "/nowhere", "PGSSLSNI": "wrong",
		"PGSSLPASSWORD": "wrong", "PGREQUIREPEER": "wrong", "PGSSLMINPROTOCOLVERSION": "wrong", "PGSSLMAXPROTOCOLVERSION": "wrong",
		"PGGSSENCMODE": "require", "PGKRBSRVNAME": "wrong", "PGGSSLIB": "wrong", "PGGSSDELEGATION": "1", "PGCONNECT_TIMEOUT": "wrong",
		"PGCLIENTENCODING": "SQL_ASCII", "PGTARGETSESSIONATTRS": "standby", "PGLOADBALANCEHOSTS": "wrong",
		"PGMINPROTOCOLVERSION": "wrong", "PGMAXPROTOCOLVERSION": "wrong", "PGDATESTYLE": "wrong", "PGTZ": "wrong/wrong",
		"PGGEQO": "wrong", "PGSYSCONFDIR": "/nowhere", "PGLOCALEDIR": "/nowhere",
	}
}

// TestEnvironmentDoesNotCount checks that libpq's variables, each or all, do not
// change the settings of an address, and that the settings work.
func TestEnvironmentDoesNotCount(t *testing.T) {
	address := pgtest.Empty(t)
	want, err := pgurl.ParsePool(address)
	if err != nil {
		t.Fatal(err)
	}
	all := hostile(t)
	cases := map[string]map[string]string{"all": all}
	for name, value := range all {
		cases[name] = map[string]string{name: value}
	}
	for name, variables := range cases {
		t.Run(name, func(t *testing.T) {
			for name, value := range variables {
				t.Setenv(name, value)
			}
			got, err := pgurl.ParsePool(address)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want, got)
			for name, value := range variables {
				t.Setenv(name, value)
			}
			conn, err := pgurl.Connect(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(t.Context())
			var path, application string
			err = conn.QueryRow(t.Context(), "SELECT current_setting('search_path'), current_setting('application_name')").Scan(&path, &application)
			if err != nil || path != `"$user", public` || application != "" {
				t.Errorf("search_path %q, application_name %q, %v", path, application, err)
			}
		})
	}
}

// TestHomeDoesNotCount checks that files for libpq in the home directory do not
// change the settings of an address.
func TestHomeDoesNotCount(t *testing.T) {
	for name, address := range map[string]string{
		"no password":          "postgres://u@localhost:5432/d",
		"TLS":                  "postgres://u:p@localhost:5432/d?sslmode=verify-full",
		"TLS that is tried":    "postgresql://u:p@localhost/d",
		"several hosts":        "postgres://u:p@one:1,two:2/d?sslmode=require",
		"a ? in the password":  "postgres://u:p?x@localhost/d",
		"no path, no database": "postgres://u:p@localhost",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", t.TempDir())
			want, err := pgurl.ParsePool(address)
			if err != nil {
				t.Fatal(err)
			}
			home := t.TempDir()
			for file, text := range map[string]string{
				".pgpass": "*:*:*:*:wrong\n", ".pg_service.conf": "[wrong]\nhost=wrong\n",
				".postgresql/root.crt": "wrong", ".postgresql/postgresql.crt": "wrong", ".postgresql/postgresql.key": "wrong",
			} {
				path := filepath.Join(home, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("HOME", home)
			got, err := pgurl.ParsePool(address)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want, got)
		})
	}
}

// compare compares the settings; of functions, only whether they are nil.
func compare(t *testing.T, want, got *pgxpool.Config) {
	t.Helper()
	if diff := cmp.Diff(view(&want.ConnConfig.Config), view(&got.ConnConfig.Config)); diff != "" {
		t.Errorf("other settings (-want +got):\n%s", diff)
	}
}

func view(c *pgconn.Config) map[string]any {
	fields := map[string]any{}
	for field, value := range reflect.ValueOf(c).Elem().Fields() {
		switch {
		case !field.IsExported():
		case field.Name == "TLSConfig":
			fields[field.Name] = viewTLS(c.TLSConfig)
		case field.Name == "Fallbacks":
			var all []any
			for _, f := range c.Fallbacks {
				all = append(all, f.Host, f.Port, viewTLS(f.TLSConfig))
			}
			fields[field.Name] = all
		case value.Kind() == reflect.Func:
			fields[field.Name] = value.IsNil()
		default:
			fields[field.Name] = value.Interface()
		}
	}
	return fields
}

func viewTLS(c *tls.Config) any {
	if c == nil {
		return nil
	}
	return []any{c.ServerName, c.InsecureSkipVerify, c.RootCAs != nil, len(c.Certificates), c.VerifyPeerCertificate != nil, c.NextProtos}
}

// TestAddressCounts checks that settings in an address are used.
func TestAddressCounts(t *testing.T) {
	t.Parallel()
	c, err := pgurl.ParsePool("postgres://u:p%20w@h:1/d?sslmode=disable&application_name=oven&passfile=/x&pool_max_conns=3")
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.ConnConfig.Host, c.ConnConfig.Port, c.ConnConfig.Database, c.ConnConfig.User, c.ConnConfig.Password, c.MaxConns, c.ConnConfig.RuntimeParams}
	want := []any{"h", uint16(1), "d", "u", "p w", int32(3), map[string]string{"application_name": "oven"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTarget checks that every part of a target can have any characters.
func TestTarget(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"plain", "a b", "a+b", "a%20b", "@:/?#[]&=", "½ ü"} {
		c, err := pgurl.Parse(pgurl.Target{
			Host: "::1", Port: 5433, Database: odd, User: odd, Password: odd, Parameters: map[string]string{"application_name": odd, "sslmode": ""},
		}.String())
		if err != nil {
			t.Errorf("%q: %v", odd, err)
			continue
		}
		got := []any{c.Host, c.Port, c.Database, c.User, c.Password, c.RuntimeParams["application_name"]}
		if diff := cmp.Diff([]any{"::1", uint16(5433), odd, odd, pgurl.Prepare(odd), odd}, got); diff != "" {
			t.Errorf("%q: %s", odd, diff)
		}
	}
}

// TestTargetHosts checks that several hosts are tried in order, for one that accepts writes.
func TestTargetHosts(t *testing.T) {
	t.Parallel()
	for hosts, want := range map[string]string{
		"db":                           "db:5433",
		"db:6000":                      "db:6000",
		"::1":                          "::1:5433",
		"[::1]":                        "::1:5433",
		"a,b:6000,[::1]:6001,10.0.0.1": "a:5433 b:6000 ::1:6001 10.0.0.1:5433",
	} {
		if err := pgurl.CheckHosts(hosts); err != nil {
			t.Errorf("%s: %v", hosts, err)
		}
		c, err := pgurl.Parse(pgurl.Target{Host: hosts, Port: 5433, Database: "d", User: "u", Parameters: map[string]string{"sslmode": "disable"}}.String())
		if err != nil {
			t.Errorf("%s: %v", hosts, err)
			continue
		}
		got := fmt.Sprint(c.Host, ":", c.Port)
		for _, f := range c.Fallbacks {
			got += fmt.Sprint(" ", f.Host, ":", f.Port)
		}
		if got != want || (c.ValidateConnect != nil) != strings.Contains(hosts, ",") {
			t.Errorf("%s: connects to %s, want %s; chooses: %t", hosts, got, want, c.ValidateConnect != nil)
		}
	}
	for _, hosts := range []string{"", "a,", ",a", "a,,b", "a b", "a:0", "a:65536", "a:b", "u@h", "h/d", "h?x", "a:1:2"} {
		if err := pgurl.CheckHosts(hosts); err == nil {
			t.Errorf("%q are hosts", hosts)
		}
	}
}

// TestErrors checks that errors name the problem, and not the password.
func TestErrors(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"":                                      "want postgres://",
		"host=h password=s3cret":                "want postgres://",
		"mysql://u:s3cret@h/d":                  "want postgres://",
		"postgres://u:s3cret@h:port/d":          "want postgres://",
		"postgres://u:s3cret%@h/d":              "want postgres://",
		"postgres://u:s3cret@h/d?s3cret":        "want postgres://",
		"postgres://u:s3cret@h/d?sslmode=wrong": "want postgres://",
		"postgres://u:s3cret@h/d?sslmode=verify-full&sslrootcert=/nowhere/ca.crt": "/nowhere/ca.crt: no such file",
		"postgres://u:s3cret@h/d?sslmode=verify-ca&sslrootcert=" + empty:          "holds no certificate",
		"postgres://u:s3cret@h/d?sslcert=/nowhere/a.crt&sslkey=/nowhere/a.key":    "/nowhere/a.key: no such file",
	} {
		_, err := pgurl.Parse(address)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
