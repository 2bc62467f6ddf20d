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
	"path/filepath"
	"regexp"
	"slices"
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
		_, _ = fmt.Fprintln(stderr, "usage: changed [flags] [BASE]\n\n"+
			"Tells which images differ at HEAD from where HEAD left the commit BASE, or from what an environment runs.")
		flags.PrintDefaults()
	}
	root := flags.String("root", ".", "the repository")
	environment := flags.String("environment", "dev", "whose images to compare with where there is no BASE")
	asJSON := flags.Bool("json", false, "print JSON")
	github := flags.String("github", "", "file to append images=NAME NAME…, matrix=[\"NAME\",…] and code=BOOL to, as output of a step of GitHub Actions ($GITHUB_OUTPUT)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 1 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(1))
	}
	all, err := answers(ctx, *root, flags.Arg(0), *environment)
	if err != nil {
		return err
	}
	if *github != "" {
		code, err := touchesMore(ctx, *root, flags.Arg(0))
		if err != nil {
			return err
		}
		if err := output(*github, all, code); err != nil {
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

func answers(ctx context.Context, root, base, environment string) ([]answer, error) {
	because := since(root, base)
	if base == "" {
		tags, err := running(filepath.Join(root, "deploy/environments", environment, "images.yaml"))
		if err != nil {
			return nil, err
		}
		because = notRunning(root, environment, tags)
	}
	var all []answer
	for _, s := range image.Specs() {
		files, err := because(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, answer{Name: s.Name, Changed: len(files) > 0, Because: files})
	}
	return all, nil
}

type reasons func(ctx context.Context, s image.Spec) ([]string, error)

// since are the files that differ from a base. One that is not there, as before the
// first push of a branch or after one by force, differs in all.
func since(root, base string) reasons {
	return func(ctx context.Context, s image.Spec) ([]string, error) {
		if !exists(ctx, root, base) {
			return []string{"there is no commit " + base}, nil
		}
		return image.Changed(ctx, root, base, s)
	}
}

func exists(ctx context.Context, root, commit string) bool {
	cmd := exec.CommandContext(ctx, "git", "rev-parse", "--verify", "--quiet", commit+"^{commit}")
	cmd.Dir = root
	return cmd.Run() == nil
}

// notRunning compares the version of an image with the tag of what runs. Unlike the
// last push, it knows of what an earlier one should have brought there and did not.
func notRunning(root, environment string, tags map[string]string) reasons {
	return func(ctx context.Context, s image.Spec) ([]string, error) {
		r, err := image.RevisionOf(ctx, root, s)
		if err != nil || r.Version() == tags[s.Name] {
			return nil, err
		}
		return []string{fmt.Sprintf("%s runs %s, this is %s", environment, tags[s.Name], r.Version())}, nil
	}
}

var line = regexp.MustCompile(`(?m)^(\w+): .*\btag: "?([^",]+)"?`)

// running reads the tags in the images.yaml of an environment, by image.
func running(path string) (map[string]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, m := range line.FindAllStringSubmatch(string(content), -1) {
		name := m[1]
		if name == "migration" { // of the chart, which runs the image migrate
			name = "migrate"
		}
		tags[name] = m[2]
	}
	return tags, nil
}

var lines = regexp.MustCompile(`^deploy/environments/[^/]+/images\.yaml$`)

// touchesMore is false for a change which but moves images between environments, or
// back: whoever waits for that need not wait for tests of what was tested before.
func touchesMore(ctx context.Context, root, base string) (bool, error) {
	if base == "" || !exists(ctx, root, base) {
		return true, nil
	}
	cmd := exec.CommandContext(ctx, "git", "diff", "--name-only", "--no-renames", "-z", base+"...HEAD")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return false, fmt.Errorf("git diff: %w", err)
	}
	files := strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	return len(files) == 0 || slices.ContainsFunc(files, func(file string) bool { return !lines.MatchString(file) }), nil
}

// output is three lines for the steps that follow, and for the jobs.
func output(path string, all []answer, code bool) (err error) {
	names := []string{}
	for _, a := range all {
		if a.Changed {
			names = append(names, a.Name)
		}
	}
	matrix, err := json.Marshal(names)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = fmt.Fprintf(f, "images=%s\nmatrix=%s\ncode=%t\n", strings.Join(names, " "), matrix, code)
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
