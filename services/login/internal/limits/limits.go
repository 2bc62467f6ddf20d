// Package limits bounds how often passwords may be tried and members registered:
// by one account, whoever asks, and by one client, for whatever account.
//
// An account is meant as its id is written. Ids are compared exactly, so no other
// spelling leads to the same account; that an id is nobody's makes no difference.
// A try is counted when it can be understood, and before any work is done for it.
package limits

import (
	"context"

	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/ratelimit"
)

// Config is how often.
type Config struct {
	LoginAccount    ratelimit.Rate `env:"LOGIN_RATE_PER_ACCOUNT" envDefault:"10/m" doc:"Most tries of the password of one account, at login or to change it, right or wrong, by whoever: 10/m is 10 at once and then one every 6 seconds. Too few to guess a password, and no way to lock a member out: who uses up the tries of another has to go on doing so, a next one is free every 6 seconds, and who is logged in stays so. 0 or off is no limit"`
	LoginAddress    ratelimit.Rate `env:"LOGIN_RATE_PER_ADDRESS" envDefault:"60/m" doc:"Most such tries by one client, for whatever account: its IPv4 address, or the /64 of its IPv6 address. More than for an account, since behind one address may be an office or a mobile network"`
	RegisterAccount ratelimit.Rate `env:"REGISTER_RATE_PER_ACCOUNT" envDefault:"5/m" doc:"Most registrations of one id, whether it is taken or not"`
	RegisterAddress ratelimit.Rate `env:"REGISTER_RATE_PER_ADDRESS" envDefault:"30/h" doc:"Most registrations by one client: members register once, programs as often as they may"`
}

// Limits are the bounds. The zero value has none.
type Limits struct{ loginAccount, loginAddress, registerAccount, registerAddress *ratelimit.Limit }

// New returns limits that count in counters.
func New(c Config, counters *ratelimit.Counters) Limits {
	const account, address = "account", "address"
	return Limits{
		counters.Limit("login", account, c.LoginAccount), counters.Limit("login", address, c.LoginAddress),
		counters.Limit("register", account, c.RegisterAccount), counters.Limit("register", address, c.RegisterAddress),
	}
}

// Password counts a try of a member's password. It returns RateLimited.
func (l Limits) Password(ctx context.Context, memberID string) error {
	return spend(ctx, l.loginAddress, l.loginAccount, memberID)
}

// Register counts a registration. It returns RateLimited.
func (l Limits) Register(ctx context.Context, memberID string) error {
	return spend(ctx, l.registerAddress, l.registerAccount, memberID)
}

// spend is the one place where a limit of this service refuses. A client that has
// reached its own limit uses up nothing of the account's.
func spend(ctx context.Context, address, account *ratelimit.Limit, memberID string) error {
	if err := address.Spend(ctx, clientaddr.Group(ctx)); err != nil {
		return err
	}
	return account.Spend(ctx, memberID)
}
