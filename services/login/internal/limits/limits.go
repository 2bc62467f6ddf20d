// Package limits bounds how often passwords are tried and members registered: by
// one client, for one account by one client, and for one account by everyone.
//
// An account is its id as it is written. Ids are compared exactly, so no other
// spelling leads to the same account. An id that is nobody's has the same limits.
package limits

import (
	"context"
	"time"

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

// invalidPerAddress is the rate of invalid registrations by one client. They cost
// no hash and no statement, only the check of the fields, so the rate is well above
// what people who mistype need, and no choice of the operator. It is off together
// with REGISTER_RATE_PER_ADDRESS, where addresses mean nothing.
var invalidPerAddress = ratelimit.Rate{Count: 60, Per: time.Minute}

// Limits are the bounds. The zero value has none.
type Limits struct {
	password, register bounds
	invalid            *ratelimit.Limit
}

// bounds are the limits of one route.
type bounds struct{ address, both, account *ratelimit.Limit }

// New returns limits that count in counters.
func New(c Config, counters *ratelimit.Counters) Limits {
	const address, both, account = "address", "account-from-address", "account"
	l := Limits{
		password: bounds{
			counters.Limit("login", address, c.LoginAddress), counters.Limit("login", both, c.LoginClient), counters.Limit("login", account, c.LoginAccount),
		},
		register: bounds{
			address: counters.Limit("register", address, c.RegisterAddress), account: counters.Limit("register", account, c.RegisterAccount),
		},
	}
	if !c.RegisterAddress.Off() {
		l.invalid = counters.Limit("register", "invalid-from-address", invalidPerAddress)
	}
	return l
}

// Password returns what one try of a member's password costs.
func (l Limits) Password(ctx context.Context, memberID string) []ratelimit.Charge {
	return l.password.charges(ctx, memberID)
}

// Register returns what one registration costs.
func (l Limits) Register(ctx context.Context, memberID string) []ratelimit.Charge {
	return l.register.charges(ctx, memberID)
}

// Invalid returns what one invalid registration costs.
func (l Limits) Invalid(ctx context.Context) ratelimit.Charge {
	return l.invalid.For(clientaddr.Group(ctx))
}

func (b bounds) charges(ctx context.Context, memberID string) []ratelimit.Charge {
	client := clientaddr.Group(ctx)
	return []ratelimit.Charge{
		b.address.For(client), b.both.For(client + " " + memberID), b.account.For(memberID), // no address has a blank
	}
}
