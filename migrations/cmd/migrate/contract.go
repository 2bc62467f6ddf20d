package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"example.com/pizza/migrations"
	"example.com/pizza/migrations/takeover"
)

// contract ends the takeover, or says what is in its way.
func (c command) contract(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("contract", flag.ContinueOnError)
	role, parity := flags.String("old-role", "", ""), flags.String("parity", "", "")
	yes, asJSON := flags.Bool("yes", false, ""), flags.Bool("json", false, "")
	if _, err := parse(flags, args, 0); err != nil {
		return err
	}
	if *role == "" || *parity == "" {
		return usageError{"contract: --old-role NAME and --parity FILE are needed"}
	}
	s, err := load[struct {
		Database Database
		Shop     Shop
	}](c)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(s.Shop.TimeZone)
	if err != nil {
		return err
	}
	o := migrations.ContractOptions{
		OldRole: *role, Parity: *parity, Zone: zone,
		Progress: func(part string) { _, _ = fmt.Fprintf(c.stderr, "examining %s\n", part) },
	}
	dsn := s.Database.dsn()
	report, err := migrations.CheckContract(ctx, dsn, o)
	if err != nil {
		return err
	}
	if !*asJSON {
		if err := c.tellContract(report); err != nil {
			return err
		}
	}
	steps := command{stdout: c.stdout}
	if *asJSON {
		steps.stdout = c.stderr
	}
	apply := *yes && report.Go() && !report.Applied
	if apply {
		err = migrations.ApplyContract(ctx, dsn, o, func(s migrations.Step) { steps.report("applied", s) })
		if err != nil {
			return fmt.Errorf("%w (what is applied stays; run it again for the rest)", err)
		}
		report.Applied = true
	}
	if *asJSON {
		err = encode(c.stdout, struct {
			Go         bool                 `json:"go"`
			Conditions []takeover.Condition `json:"conditions"`
			migrations.ContractReport
		}{report.Go(), report.Conditions(), report})
	} else if report.Applied {
		_, err = fmt.Fprintln(c.stdout, "the contract is applied: the tables are those of the services alone")
	}
	if err == nil && !report.Go() {
		err = errNoGo
	}
	return err
}

func (c command) tellContract(r migrations.ContractReport) error {
	if r.Applied {
		return nil
	}
	out := newTable(c.stdout)
	out.row("CONDITION", "", "")
	for _, condition := range r.Conditions() {
		verdict := "no go"
		if condition.Go {
			verdict = "go"
		}
		out.row(condition.Name, verdict, condition.Means)
	}
	out.row()
	if err := out.flush(); err != nil {
		return err
	}
	return printReport(c.stdout, r.Report,
		"go: `migrate contract` with --yes applies it. There is no way back to the old\nsystem then, but a restored backup")
}
