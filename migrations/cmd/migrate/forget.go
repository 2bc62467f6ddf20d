package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"example.com/pizza/migrations"
)

func (c command) forgetMember(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("forget-member", flag.ContinueOnError)
	yes := flags.Bool("yes", false, "")
	rest, err := parse(flags, args, 1)
	if err != nil {
		return err
	}
	if len(rest) == 0 || rest[0] == "" {
		return usageError{"forget-member: the id of the member is missing"}
	}
	if !*yes {
		return usageError{"forget-member: this cannot be undone; confirm with --yes"}
	}
	dsn, err := c.dsn()
	if err != nil {
		return err
	}
	done, err := migrations.ForgetMember(ctx, dsn, rest[0])
	if err != nil {
		return err
	}
	out := newTable(c.stdout)
	out.row("TABLE", "ROWS", "")
	var rows int64
	for _, f := range done {
		out.row(f.Table, fmt.Sprint(f.Rows), f.What)
		rows += f.Rows
	}
	text := "member forgotten; run again in a minute to catch an order that was being placed"
	if rows == 0 {
		text = "no data found for this member"
	}
	err = out.flush()
	_, printed := fmt.Fprintln(c.stdout, text)
	return errors.Join(err, printed)
}
