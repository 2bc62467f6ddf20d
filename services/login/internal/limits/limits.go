// Package limits bounds attempts at passwords and registrations: by one client, for
// one account by one client, and for one account by all clients.
//
// All spellings of an id that reach the same member count as one account. Unknown
// ids have the same limits.
package limits

import (
	"context"
	"time"

	"example.com/pizza/pkg/clientaddr"
	"example.com/pizza/pkg/fault"
	"example.com/pizza/pkg/ratelimit"
	"example.com/pizza/pkg/text"
	"example.com/pizza/services/login/internal/login"
)

// Config is the rates.
type Config struct {
	LoginAccount ratelimit.Rate `env:"LOGIN_RATE_PER_ACCOUNT" envDefault:"10/m" doc:"Maximum attempts at the password of one account, at login or to change it, right or wrong, by all clients: 10/m is 10 at once and then one every 6 seconds, too few to guess a password. 0 or off is no limit"`
	LoginClient  ratelimit.Rate `env:"LOGIN_RATE_PER_ACCOUNT_AND_ADDRESS" envDefault:"5/m" doc:"Maximum attempts by one client at one account. Less than for the account, so that no single client can lock a member out. Many clients can, while they go on; sessions that exist are not affected"`
	LoginAddress ratelimit.Rate `env:"LOGIN_RATE_PER_ADDRESS" envDefault:"60/m" doc:"Maximum attempts by one client at all accounts. A client is an IPv4 address or the /64 of an IPv6 address. More than for an account, since an office or a mobile network can share an address"`

	RegisterAccount ratelimit.Rate `env:"REGISTER_RATE_PER_ACCOUNT" envDefault:"5/m" doc:"Maximum registrations of one id, taken or not"`
	RegisterAddress ratelimit.Rate `env:"REGISTER_RATE_PER_ADDRESS" envDefault:"30/h" doc:"Maximum registrations by one client. Members register once"`
}

// invalidPerAddress is the rate of invalid registrations by one client. They cost no
// hash and no statement, so the rate is well above the needs of people who mistype.
// It is off together with REGISTER_RATE_PER_ADDRESS.
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

// Password returns an attempt at the password of an account.
func (l Limits) Password(ctx context.Context, memberID string) *Attempt {
	return l.password.attempt(ctx, account(memberID))
}

// Register returns an attempt to register an id.
func (l Limits) Register(ctx context.Context, memberID string) *Attempt {
	return l.register.attempt(ctx, account(memberID))
}

// account returns the key of an account: equal for all spellings of an id.
func account(memberID string) string {
	if text.TooLong(memberID, login.MaxID) {
		return memberID // of no member
	}
	return text.Normal(memberID)
}

// Invalid returns the charge of an invalid registration.
func (l Limits) Invalid(ctx context.Context) ratelimit.Charge {
	return l.invalid.For(clientaddr.Group(ctx))
}

func (b bounds) attempt(ctx context.Context, account string) *Attempt {
	client := clientaddr.Group(ctx)
	return &Attempt{charges: []ratelimit.Charge{
		b.address.For(client), b.both.For(client + " " + account), b.account.For(account), // no address has a blank
	}}
}

// Attempt is a login.Attempt.
type Attempt struct {
	charges []ratelimit.Charge
	refund  func() // after Spend
}

// Check implements login.Attempt.
func (a *Attempt) Check(ctx context.Context) error { return ratelimit.Check(ctx, a.charges...) }

// Spend implements login.Attempt.
func (a *Attempt) Spend(ctx context.Context) (err error) {
	a.refund, err = ratelimit.Spend(ctx, a.charges...)
	return err
}

// End refunds an attempt that the service could not carry out. A client that went
// away is not refunded: its request may have taken effect.
func (a *Attempt) End(ctx context.Context, err error) {
	if a.refund != nil && fault.CodeOf(err) == fault.Unavailable && ctx.Err() == nil {
		a.refund()
	}
}
