// Command delivery shows what runs in each environment, and changes it; see package
// delivery. tools/delivery.sh calls it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"sigs.k8s.io/yaml"

	"example.com/pizza/deploy/delivery"
	"example.com/pizza/deploy/images"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "delivery:", err)
		os.Exit(1)
	}
}

const usage = `usage: delivery promote   -from dev -to stg [-service order]
       delivery rollback  -env prod [-to COMMIT] [-service order]
       delivery history   [-env prod] [-all]
       delivery changed   [-env dev] [-images .local/images]
       delivery publish   [-images .local/images]
       delivery attest    -env dev -service order [-revision COMMIT]
       delivery changelog [-range v1.0.0..HEAD]

Each takes -h. What changes an environment changes lines of its images.yaml in the
checkout, shows them, and leaves the commit to you.
`

// Without a key, signatures of these two workflows of this repository are trusted.
const (
	releaser = `^https://github\.com/example/pizza/\.github/workflows/release\.yml@refs/heads/main$`
	verifier = `^https://github\.com/example/pizza/\.github/workflows/verify\.yml@refs/heads/main$`
	issuer   = "https://token.actions.githubusercontent.com"
)

// command holds the flags that the commands share.
type command struct {
	flags      *flag.FlagSet
	repository delivery.Repository
	evidence   delivery.Evidence
	json       bool
	markdown   bool
	stdout     io.Writer
}

func newCommand(name string, stdout, stderr io.Writer) *command {
	c := &command{flags: flag.NewFlagSet("delivery "+name, flag.ContinueOnError), stdout: stdout}
	c.flags.SetOutput(stderr)
	c.flags.StringVar(&c.repository.Root, "root", ".", "the repository")
	c.flags.BoolVar(&c.json, "json", false, "print JSON")
	return c
}

// trusting adds the flags of commands that verify evidence.
func (c *command) trusting() {
	c.flags.BoolVar(&c.markdown, "markdown", false, "print the text of a pull request")
	c.flags.StringVar(&c.evidence.Cosign, "cosign", "", "the program (default .local/bin/cosign of the repository)")
	c.flags.StringVar(&c.evidence.Registry, "registry", "", "what comes before the name of each image (default: what the values of the environment say)")
	for _, s := range []struct {
		signer                              *delivery.Signer
		what, key, variable, name, fallback string
	}{
		{&c.evidence.Releaser, "signatures", "key", "COSIGN_KEY", "identity", releaser},
		{&c.evidence.Verifier, "attestations", "verifier-key", "COSIGN_VERIFIER_KEY", "verifier", verifier},
	} {
		c.flags.StringVar(&s.signer.Key, s.key, os.Getenv(s.variable),
			"file of the public key whose "+s.what+" count, instead of an identity ("+s.variable+")")
		c.flags.StringVar(&s.signer.Identity, s.name, s.fallback, "regular expression of whose "+s.what+" count")
	}
	c.flags.StringVar(&c.evidence.Issuer, "issuer", issuer, "who vouches for the identities")
}

// parse reads the flags and fills in defaults.
func (c *command) parse(args []string, environment *string) (err error) {
	if err := c.flags.Parse(args); err != nil {
		return err
	}
	if c.flags.NArg() > 0 {
		return fmt.Errorf("%s takes no %q", c.flags.Name(), c.flags.Arg(0))
	}
	if c.evidence.Cosign == "" {
		if c.evidence.Cosign, err = filepath.Abs(filepath.Join(c.repository.Root, ".local", "bin", "cosign")); err != nil {
			return err
		}
	}
	if c.evidence.Registry == "" {
		c.evidence.Registry, err = registry(c.repository.Root, *environment)
	}
	return err
}

// registry returns the registry of the images of an environment.
func registry(root, environment string) (string, error) {
	file := filepath.Join(root, "deploy", "environments", environment, "values.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("there is no environment %q: %w", environment, err)
	}
	var values struct {
		Global struct {
			Image struct {
				Registry string `json:"registry"`
			} `json:"image"`
		} `json:"global"`
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if values.Global.Image.Registry == "" {
		return "", fmt.Errorf("%s: global.image.registry is not there", file)
	}
	return values.Global.Image.Registry, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		_, err := fmt.Fprint(stderr, usage)
		return errors.Join(err, errors.New("no command"))
	}
	c := newCommand(args[0], stdout, stderr)
	switch args[0] {
	case "promote":
		return c.promote(ctx, args[1:])
	case "rollback":
		return c.rollback(ctx, args[1:])
	case "history":
		return c.history(ctx, args[1:])
	case "changed":
		return c.changedImages(ctx, args[1:])
	case "publish":
		return c.publish(ctx, args[1:])
	case "attest":
		return c.attest(ctx, args[1:])
	case "changelog":
		return c.changelog(ctx, args[1:])
	case "-h", "-help", "--help", "help":
		_, err := fmt.Fprint(stdout, usage)
		return err
	}
	_, err := fmt.Fprint(stderr, usage)
	return errors.Join(err, fmt.Errorf("unknown command %q", args[0]))
}

func (c *command) promote(ctx context.Context, args []string) error {
	from := c.flags.String("from", "", "environment that runs the images: dev or stg")
	to := c.flags.String("to", "", "environment that shall run them: stg or prod")
	service := c.flags.String("service", "", "login, menu or order alone (default all); the migration and the chart come along")
	c.trusting()
	if err := c.parse(args, from); err != nil {
		return err
	}
	plan, err := delivery.Promote(ctx, c.repository, c.evidence, *from, *to, *service)
	return c.changed(plan, err)
}

func (c *command) rollback(ctx context.Context, args []string) error {
	environment := c.flags.String("env", "", "dev, stg or prod")
	to := c.flags.String("to", delivery.Previous, "commit whose images shall run again")
	service := c.flags.String("service", "", "login, menu or order alone, without the migration and the chart (default all)")
	c.trusting()
	if err := c.parse(args, environment); err != nil {
		return err
	}
	plan, err := delivery.Rollback(ctx, c.repository, c.evidence, *environment, *to, *service)
	return c.changed(plan, err)
}

// changedImages reports the built images that an environment does not run, to people and to GitHub Actions.
func (c *command) changedImages(ctx context.Context, args []string) error {
	environment := c.flags.String("env", delivery.Environments()[0], "dev, stg or prod")
	folder := c.flags.String("images", images.Folder, "folder of make images, below root")
	github := c.flags.String("github", "", `file to append images=["NAME",…] to ($GITHUB_OUTPUT)`)
	if err := c.parse(args, environment); err != nil {
		return err
	}
	built, err := delivery.Built(filepath.Join(c.repository.Root, *folder))
	if err != nil {
		return err
	}
	changed, err := delivery.New(ctx, c.repository, *environment, built)
	if err != nil {
		return err
	}
	names := []string{}
	for _, i := range changed {
		names = append(names, i.Repository())
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if c.json {
		err = c.encode(names)
	} else {
		_, err = fmt.Fprintf(c.stdout, "images that %s does not run: %s\n", *environment, list)
	}
	if err != nil || *github == "" {
		return err
	}
	out, err := os.OpenFile(*github, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "images=%s\n", list)
	return errors.Join(err, out.Close())
}

func (c *command) publish(ctx context.Context, args []string) error {
	folder := c.flags.String("images", images.Folder, "folder of make images, below root")
	pushed := c.flags.String("chart", ".local/charts/pizza.pushed", "what tools/push-charts.sh has pushed, if it has, below root")
	c.trusting()
	first := delivery.Environments()[0]
	if err := c.parse(args, &first); err != nil {
		return err
	}
	chart, err := delivery.PushedChart(filepath.Join(c.repository.Root, *pushed))
	if err != nil {
		return err
	}
	built, err := delivery.Built(filepath.Join(c.repository.Root, *folder))
	if err != nil && (chart == nil || !errors.Is(err, delivery.ErrNoImages)) {
		return err
	}
	plan, err := delivery.Publish(ctx, c.repository, c.evidence, append(built, chart...))
	return c.changed(plan, err)
}

func (c *command) attest(ctx context.Context, args []string) error {
	environment := c.flags.String("env", "", "dev or stg")
	service := c.flags.String("service", "", "login, menu or order; the migration comes along")
	revision := c.flags.String("revision", "", "commit that it must have been synced to (default: the one of its last sync)")
	kubectl := c.flags.String("kubectl", "kubectl", "the program, which finds the cluster of Argo CD by KUBECONFIG")
	c.trusting()
	if err := c.parse(args, environment); err != nil {
		return err
	}
	cluster := delivery.Cluster{Kubectl: *kubectl}
	passed, images, err := delivery.Attest(ctx, c.repository, c.evidence, cluster, *environment, *service, *revision)
	if err != nil {
		return fmt.Errorf("nothing was attested:\n%w", err)
	}
	if c.json {
		return c.encode(images)
	}
	return attested(c.stdout, passed, images)
}

func (c *command) history(ctx context.Context, args []string) error {
	environment := c.flags.String("env", "", "dev, stg or prod (default all)")
	all := c.flags.Bool("all", false, "tell what ran before too")
	if err := c.flags.Parse(args); err != nil {
		return err
	}
	chosen := delivery.Environments()
	if *environment != "" {
		chosen = []string{*environment}
	}
	var runs []delivery.Run
	for _, name := range chosen {
		more, err := delivery.History(ctx, c.repository, name, *all)
		if err != nil {
			return err
		}
		runs = append(runs, more...)
	}
	if c.json {
		return c.encode(runs)
	}
	return ran(c.stdout, runs)
}

func (c *command) changelog(ctx context.Context, args []string) error {
	commits := c.flags.String("range", "HEAD", "commits, such as v1.0.0..HEAD")
	if err := c.flags.Parse(args); err != nil {
		return err
	}
	groups, err := delivery.Changelog(ctx, c.repository, *commits)
	if err != nil {
		return err
	}
	if c.json {
		return c.encode(groups)
	}
	return changes(c.stdout, groups)
}

// changed prints a plan and the next step.
func (c *command) changed(p delivery.Plan, err error) error {
	if errors.Is(err, delivery.ErrNothing) && !c.json {
		_, err = fmt.Fprintln(c.stdout, err)
		return err
	}
	if err != nil && !errors.Is(err, delivery.ErrNothing) {
		return fmt.Errorf("nothing was changed:\n%w", err)
	}
	switch {
	case c.json:
		return c.encode(p)
	case c.markdown:
		return pullRequest(c.stdout, p)
	}
	return plan(c.stdout, p)
}

func (c *command) encode(v any) error {
	out := json.NewEncoder(c.stdout)
	out.SetIndent("", "  ")
	return out.Encode(v)
}
