package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"example.com/pizza/migrations"
	"example.com/pizza/pkg/password"
)

func (c command) passwords(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("passwords", flag.ContinueOnError)
	yes, dryRun, asJSON := flags.Bool("yes", false, ""), flags.Bool("dry-run", false, ""), flags.Bool("json", false, "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	if !*yes && !*dryRun {
		return usageError{"passwords: the old system logs nobody in any more whose password is hashed; look with --dry-run, confirm with --yes"}
	}
	s, err := load[struct {
		Database Database
		Hashing  Hashing
	}](c)
	if err != nil {
		return err
	}
	hashing := s.Hashing.options()
	hashing.DryRun, hashing.Progress = *dryRun, c.stderr
	report, err := migrations.HashPasswords(ctx, s.Database.dsn(), hashing)
	if err != nil {
		if report.Hashed > 0 {
			err = fmt.Errorf("%w (%d passwords are hashed; run it again for the rest)", err, report.Hashed)
		}
		return err
	}
	if *asJSON {
		err = encode(c.stdout, report)
	} else {
		err = c.tellPasswords(report)
	}
	if left := report.Stored[password.ClearText]; left > 0 && !report.DryRun {
		err = errors.Join(err, fmt.Errorf("%d passwords are in clear text, added or held by others meanwhile: "+
			"run it again", left))
	}
	return err
}

// meaning explains what happens to a kind of stored password.
func meaning(k password.Kind) string {
	switch k {
	case password.Current:
		return "as new ones are"
	case password.Weaker:
		return "made at a lower cost; replaced when the member logs in"
	case password.Django:
		return "cannot be hashed again without the password; verified as it is, and replaced when the member logs in"
	case password.ClearText:
		return "hashed by `migrate passwords --yes`, or when the member logs in"
	case password.Unreadable:
		return "of a kind that is not read, or marked as unusable; the member cannot log in"
	case password.None:
		return "empty; the member cannot log in"
	default:
		return ""
	}
}

func (c command) tellPasswords(r migrations.PasswordReport) error {
	out := newTable(c.stdout)
	out.row("STORED AS", "MEMBERS", "")
	for _, k := range password.Kinds() {
		out.row(string(k), fmt.Sprint(r.Stored[k]), meaning(k))
	}
	left := r.Stored[password.ClearText]
	text := fmt.Sprintf("hashed %d passwords; none is in clear text", r.Hashed)
	switch {
	case r.DryRun:
		text = fmt.Sprintf("%d passwords would be hashed; nothing is changed", left)
	case left > 0:
		text = fmt.Sprintf("hashed %d passwords", r.Hashed)
	}
	err := out.flush()
	_, printed := fmt.Fprintln(c.stdout, text)
	return errors.Join(err, printed)
}
