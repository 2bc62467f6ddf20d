// Command changed tells which images a change touches, by what each is made of; see
// image.Inputs. CI builds those, and leaves the others as they are.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"example.com/pizza/deploy/images/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "changed:", err)
		os.Exit(1)
	}
}

// answer is about one image.
type answer struct {
	Name    string   `json:"name"`
	Changed bool     `json:"changed"`
	Because []string `json:"because"` // files, or in words
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("changed", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: changed [flags] BASE\n\nTells which images differ at HEAD from where HEAD left the commit BASE.")
		flags.PrintDefaults()
	}
	root := flags.String("root", ".", "the repository")
	asJSON := flags.Bool("json", false, "print JSON")
	github := flags.String("github", "", "file to append images=NAME NAME… to, as output of a step of GitHub Actions ($GITHUB_OUTPUT)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("which commit is the base?")
	}
	all, err := compare(ctx, *root, flags.Arg(0))
	if err != nil {
		return err
	}
	if *github != "" {
		if err := output(*github, all); err != nil {
			return err
		}
	}
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(all)
	}
	return table(stdout, all)
}

// compare answers for each image. A base that is not there, as before the first push
// of a branch or after one by force, is like none of them.
func compare(ctx context.Context, root, base string) ([]answer, error) {
	verify := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "--quiet", base+"^{commit}")
	verify.Dir = root
	known := verify.Run() == nil
	var all []answer
	for _, s := range image.Specs() {
		files := []string{"there is no commit " + base}
		if known {
			var err error
			if files, err = image.Changed(ctx, root, base, s); err != nil {
				return nil, err
			}
		}
		all = append(all, answer{Name: s.Name, Changed: len(files) > 0, Because: files})
	}
	return all, nil
}

// output is one line for the steps that follow: images=login order.
func output(path string, all []answer) (err error) {
	var names []string
	for _, a := range all {
		if a.Changed {
			names = append(names, a.Name)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = fmt.Fprintf(f, "images=%s\n", strings.Join(names, " "))
	return err
}

// table is for people.
func table(w io.Writer, all []answer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "IMAGE\tCHANGED\tBECAUSE OF")
	for _, a := range all {
		changed, because := "no", ""
		if a.Changed {
			changed, because = "yes", a.Because[0]
		}
		if more := len(a.Because) - 1; more > 0 {
			because += fmt.Sprintf(" and %d more", more)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", a.Name, changed, because)
	}
	return t.Flush()
}
