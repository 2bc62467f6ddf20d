package main

import (
	"fmt"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the image has no time zone files

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/password"
	"example.com/pizza/pkg/pgurl"
)

// settings reads environment variables and collects all problems, by name and
// never with the value.
type settings struct {
	getenv   func(string) string
	problems []string
}

func (s *settings) wrong(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *settings) required(name string) string {
	v := s.getenv(name)
	if v == "" {
		s.wrong("%s is required", name)
	}
	return v
}

// check returns all problems at once.
func (s *settings) check() error {
	if len(s.problems) == 0 {
		return nil
	}
	slices.Sort(s.problems)
	return fmt.Errorf("invalid configuration:\n  - %s", strings.Join(s.problems, "\n  - "))
}

// dsn returns the connection string of the database.
func (s *settings) dsn() string {
	if dsn := s.getenv("DATABASE_URL"); dsn != "" {
		u, err := url.Parse(dsn)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Hostname() == "" {
			s.wrong("DATABASE_URL must be postgres://user:password@host:port/database")
		}
		return dsn
	}
	host, port := s.getenv("DB_HOST"), s.getenv("DB_PORT")
	if host == "" {
		s.wrong("DB_HOST is required, or DATABASE_URL")
	}
	if port == "" {
		port = "5432"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		s.wrong("DB_PORT must be a port number")
	}
	mode := s.getenv("DB_SSLMODE")
	switch mode {
	case "":
		mode = "prefer"
	case "disable", "allow", "prefer", "require", "verify-ca", "verify-full":
	default:
		s.wrong("DB_SSLMODE must be disable, allow, prefer, require, verify-ca or verify-full")
	}
	return pgurl.Target{
		Host: host, Port: uint16(number), Database: s.required("DB_NAME"), User: s.required("DB_USER"), Password: s.required("DB_PASSWORD"),
		Parameters: map[string]string{"sslmode": mode, "sslrootcert": s.getenv("DB_SSLROOTCERT")},
	}.String()
}

func (s *settings) passwords() migrations.Passwords {
	return migrations.Passwords{
		Migrator: s.required("MIGRATOR_DB_PASSWORD"), Login: s.required("LOGIN_DB_PASSWORD"),
		Menu: s.required("MENU_DB_PASSWORD"), Order: s.required("ORDER_DB_PASSWORD"),
	}
}

// connections returns the connection limits of the services.
func (s *settings) connections() migrations.Connections {
	return migrations.Connections{
		Login: int(s.number("LOGIN_CONNECTIONS", 0)), Menu: int(s.number("MENU_CONNECTIONS", 0)), Order: int(s.number("ORDER_CONNECTIONS", 0)),
	}
}

// hashing returns the settings for hashing passwords.
func (s *settings) hashing() migrations.PasswordHashing {
	cost := password.Recommended()
	cost.Memory, cost.Passes = s.number("PASSWORD_MEMORY_KIB", cost.Memory), s.number("PASSWORD_PASSES", cost.Passes)
	if err := cost.Validate(); err != nil {
		for line := range strings.Lines(err.Error()) {
			s.wrong("%s", strings.TrimSpace(line))
		}
	}
	hashes := int(s.number("PASSWORD_HASHES", 0))
	if hashes == 0 {
		hashes = runtime.GOMAXPROCS(0)
	}
	return migrations.PasswordHashing{Cost: cost, Hashes: hashes}
}

func (s *settings) number(name string, otherwise uint32) uint32 {
	text := s.getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 17) // PASSWORD_MEMORY_KIB is 65536 at most
	if err != nil {
		s.wrong("%s must be a whole number", name)
		return otherwise
	}
	return uint32(n)
}

func (s *settings) zone() *time.Location {
	name := s.getenv("SHOP_TIMEZONE")
	if name == "" {
		name = "Asia/Seoul"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		s.wrong(`SHOP_TIMEZONE must be a time zone such as "Asia/Seoul"`)
	}
	return zone
}
