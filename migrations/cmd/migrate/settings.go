package main

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"time"
	_ "time/tzdata" // the image has no time zone files

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/config"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/pgurl"
	"example.com/pizza/pkg/secret"
)

// load reads the settings of a command: a struct of those below.
func load[T any](c command) (T, error) {
	s, err := config.Load[T](c.environ)
	if err != nil {
		return s, migrations.SettingsError{Err: err}
	}
	return s, nil
}

// Database is where the database is: its address, or the parts of it.
type Database struct {
	URL         secret.Text `env:"DATABASE_URL"`
	Host        string      `env:"DB_HOST"`
	Port        uint16      `env:"DB_PORT" envDefault:"5432" rule:"min=1,max=65535"`
	Name        string      `env:"DB_NAME"`
	User        string      `env:"DB_USER"`
	Password    secret.Text `env:"DB_PASSWORD"`
	SSLMode     string      `env:"DB_SSLMODE" envDefault:"prefer" rule:"oneof=disable|allow|prefer|require|verify-ca|verify-full"`
	SSLRootCert string      `env:"DB_SSLROOTCERT"`
}

// Validate reports an address that is none, or parts that are missing.
func (d Database) Validate() error {
	if d.URL != "" {
		u, err := url.Parse(string(d.URL))
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Hostname() == "" {
			return errors.New("DATABASE_URL must be postgres://user:password@host:port/database")
		}
		return nil
	}
	var missing []error
	if err := pgurl.CheckHosts(d.Host); err != nil && d.Host != "" {
		missing = append(missing, fmt.Errorf("DB_HOST: %w", err))
	}
	for _, part := range []struct{ value, problem string }{
		{d.Host, "DB_HOST is required, or DATABASE_URL"}, {d.Name, "DB_NAME is required"},
		{d.User, "DB_USER is required"}, {string(d.Password), "DB_PASSWORD is required"},
	} {
		if part.value == "" {
			missing = append(missing, errors.New(part.problem))
		}
	}
	return errors.Join(missing...)
}

func (d Database) dsn() string {
	if d.URL != "" {
		return string(d.URL)
	}
	return pgurl.Target{
		Host: d.Host, Port: d.Port, Database: d.Name, User: d.User, Password: string(d.Password),
		Parameters: map[string]string{"sslmode": d.SSLMode, "sslrootcert": d.SSLRootCert},
	}.String()
}

// Passwords are those that "roles" gives.
type Passwords struct {
	Migrator secret.Text `env:"MIGRATOR_DB_PASSWORD,required,notEmpty"`
	Login    secret.Text `env:"LOGIN_DB_PASSWORD,required,notEmpty"`
	Menu     secret.Text `env:"MENU_DB_PASSWORD,required,notEmpty"`
	Order    secret.Text `env:"ORDER_DB_PASSWORD,required,notEmpty"`
}

// Validate reports passwords with which not every client could log in.
func (p Passwords) Validate() error {
	var bad []error
	for name, password := range map[string]secret.Text{
		"MIGRATOR": p.Migrator, "LOGIN": p.Login, "MENU": p.Menu, "ORDER": p.Order,
	} {
		if err := pgurl.CheckPassword(string(password)); err != nil {
			bad = append(bad, errors.New(name+"_DB_PASSWORD: "+err.Error()))
		}
	}
	return errors.Join(bad...)
}

// Connections are how many each service may have open; see migrations.Connections.
type Connections struct {
	Login *int `env:"LOGIN_CONNECTIONS" rule:"max=262143"` // max_connections is never more
	Menu  *int `env:"MENU_CONNECTIONS" rule:"max=262143"`
	Order *int `env:"ORDER_CONNECTIONS" rule:"max=262143"`
}

// Hashing is how "passwords" hashes, as login does.
type Hashing struct {
	Cost   password.Cost
	Hashes int `env:"PASSWORD_HASHES" envDefault:"0"`
}

func (h Hashing) options() migrations.PasswordHashing {
	hashes := h.Hashes
	if hashes == 0 {
		hashes = runtime.GOMAXPROCS(0)
	}
	return migrations.PasswordHashing{Cost: h.Cost, Hashes: hashes}
}

// Shop is where past orders were placed, for "seed --history" and "backfill".
type Shop struct {
	TimeZone string `env:"SHOP_TIMEZONE" envDefault:"Asia/Seoul"`
}

// Validate reports an unknown time zone.
func (s Shop) Validate() error {
	if _, err := time.LoadLocation(s.TimeZone); err != nil {
		return errors.New(`SHOP_TIMEZONE must be an IANA time zone, such as "Asia/Seoul"`)
	}
	return nil
}
