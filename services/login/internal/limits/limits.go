// Package limits bounds how often passwords may be tried and members registered:
// by one client, for one account by one client, and for one account by whoever.
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
	LoginAccount ratelimit.Rate `env:"LOGIN_RATE_PER_ACCOUNT" envDefault:"10/m" doc:"Most tries of the password of one account, at login or to change it, right or wrong, by all clients together: 10/m is 10 at once and then one every 6 seconds, too few to guess a password. 0 or off is no limit"`
	LoginClient  ratelimit.Rate `env:"LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS" envDefault:"5/m" doc:"Most of these by one client. Less than for the account, so that no single client can use up the tries of a member and so lock it out; many clients can, for as long as they go on and some seconds more, and who is logged in stays so"`
	LoginAddress ratelimit.Rate `env:"LOGIN_RATE_PER_ADDRESS" envDefault:"60/m" doc:"Most such tries by one client, for whatever account: its IPv4 address, or the /64 of its IPv6 address. More than for an account, since behind one address may be an office or a mobile network"`

	RegisterAccount ratelimit.Rate `env:"REGISTER_RATE_PER_ACCOUNT" envDefault:"5/m" doc:"Most registrations of one id, whether it is taken or not"`
	RegisterAddress ratelimit.Rate `env:"REGISTER_RATE_PER_ADDRESS" envDefault:"30/h" doc:"Most registrations by one client: members register once, programs as often as they may"`
}

// Limits are the bounds. The zero value has none.
type Limits struct{ password, register bounds }

// bounds are the limits of one route.
type bounds struct{ address, both, account *ratelimit.Limit }

// New returns limits that count in counters.
func New(c Config, counters *ratelimit.Counters) Limits {
	const address, both, account = "address", "account-from-address", "account"
	return Limits{
		password: bounds{
			counters.Limit("login", address, c.LoginAddress), counters.Limit("login", both, c.LoginClient), counters.Limit("login", account, c.LoginAccount),
		},
		register: bounds{
			address: counters.Limit("register", address, c.RegisterAddress), account: counters.Limit("register", account, c.RegisterAccount),
		},
	}
}

// Password counts a try of a member's password. It returns RateLimited.
func (l Limits) Password(ctx context.Context, memberID string) error {
	return l.password.spend(ctx, memberID)
}

// Register counts a registration. It returns RateLimited.
func (l Limits) Register(ctx context.Context, memberID string) error {
	return l.register.spend(ctx, memberID)
}

// spend is the one place where a limit of this service refuses. What a client may
// do alone comes first: who has reached that uses up nothing of the account's.
func (b bounds) spend(ctx context.Context, memberID string) error {
	client := clientaddr.Group(ctx)
	if err := b.address.Spend(ctx, client); err != nil {
		return err
	}
	if err := b.both.Spend(ctx, client+" "+memberID); err != nil { // no address has a blank
		return err
	}
	return b.account.Spend(ctx, memberID)
}
