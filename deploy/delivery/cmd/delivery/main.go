// Command delivery changes what runs in an environment; see package delivery.
// tools/delivery.sh calls it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

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

const usage = `usage: delivery promote   -to stg [-service order]
       delivery rollback  -env prod [-to COMMIT] [-service order]
       delivery changed   [-images .local/images]
       delivery publish   [-images .local/images]
       delivery attest    -env dev -service order [-revision COMMIT]

Each takes -h. What changes an environment changes lines of its images.yaml in the
checkout, prints the text of a pull request, and leaves the commit to you.
`

// Without a key, signatures of these two workflows of this repository are trusted.
const (
	releaser = `^https://github\.com/example/pizza/\.github/workflows/release\.yml@refs/heads/main$`
	verifier = `^https://github\.com/example/pizza/\.github/workflows/verify\.yml@refs/heads/main$`
	issuer   = "https://token.actions.githubusercontent.com"
)

// command holds the flags that the commands share.
type command struct {
	flags          *flag.FlagSet
	repository     delivery.Repository
	evidence       delivery.Evidence
	stdout, stderr io.Writer
}

func newCommand(name string, stdout, stderr io.Writer) *command {
	c := &command{flags: flag.NewFlagSet("delivery "+name, flag.ContinueOnError), stdout: stdout, stderr: stderr}
	c.flags.SetOutput(stderr)
	c.flags.StringVar(&c.repository.Root, "root", ".", "the repository")
	return c
}

// trusting adds the flags of commands that verify evidence.
func (c *command) trusting() {
	c.flags.StringVar(&c.evidence.Cosign, "cosign", "", "the program (default .local/bin/cosign of the repository)")
	c.flags.StringVar(&c.evidence.Registry, "registry", "",
		"prefix of the name of each image (default: global.image.registry of the environment)")
	for _, s := range []struct {
		signer                              *delivery.Signer
		what, key, variable, name, fallback string
	}{
		{&c.evidence.Releaser, "signatures", "key", "COSIGN_KEY", "identity", releaser},
		{&c.evidence.Verifier, "attestations", "verifier-key", "COSIGN_VERIFIER_KEY", "verifier", verifier},
	} {
		c.flags.StringVar(&s.signer.Key, s.key, os.Getenv(s.variable),
			"file of the public key that "+s.what+" must have, instead of an identity ("+s.variable+")")
		c.flags.StringVar(&s.signer.Identity, s.name, s.fallback, "regular expression of the identity that "+s.what+" must have")
	}
	c.flags.StringVar(&c.evidence.Issuer, "issuer", issuer, "OpenID Connect issuer of the identities")
}

// parse reads the flags and fills in defaults. Without an environment, it is the first.
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
	if environment == nil {
		all, err := c.repository.Environments()
		if err != nil {
			return err
		}
		environment = &all[0]
	}
	if c.evidence.Registry == "" {
		c.evidence.Registry, err = registry(c.repository.Root, *environment)
	}
	return err
}

// registry returns the registry of the images of an environment, or "" if there is no
// such environment, which package delivery refuses.
func registry(root, environment string) (string, error) {
	file := filepath.Join(root, "deploy", "environments", environment, "values.yaml")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var values struct {
		Global struct {
			Image struct {
				Registry string `json:"registry"`
			} `json:"image"`
		} `json:"global"`
	}
	if err == nil {
		err = yaml.Unmarshal(text, &values)
	}
	if err == nil && values.Global.Image.Registry == "" {
		err = errors.New("global.image.registry is not there")
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
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
	case "changed":
		return c.changed(ctx, args[1:])
	case "publish":
		return c.publish(ctx, args[1:])
	case "attest":
		return c.attest(ctx, args[1:])
	case "-h", "-help", "--help", "help":
		_, err := fmt.Fprint(stdout, usage)
		return err
	}
	_, err := fmt.Fprint(stderr, usage)
	return errors.Join(err, fmt.Errorf("unknown command %q", args[0]))
}

func (c *command) promote(ctx context.Context, args []string) error {
	to := c.flags.String("to", "", "environment that shall run the images of the one before it")
	service := c.flags.String("service", "", "login, menu or order alone, with the migration and the chart (default all)")
	c.trusting()
	if err := c.parse(args, to); err != nil {
		return err
	}
	plan, err := delivery.Promote(ctx, c.repository, c.evidence, *to, *service)
	return c.planned(plan, err)
}

func (c *command) rollback(ctx context.Context, args []string) error {
	environment := c.flags.String("env", "", "environment to roll back")
	to := c.flags.String("to", delivery.Previous, "commit whose images shall run again")
	service := c.flags.String("service", "", "login, menu or order alone, without migration and chart (default all)")
	c.trusting()
	if err := c.parse(args, environment); err != nil {
		return err
	}
	plan, err := delivery.Rollback(ctx, c.repository, c.evidence, *environment, *to, *service)
	return c.planned(plan, err)
}

// changed reports the built images that the first environment does not run, to people and
// to GitHub Actions.
func (c *command) changed(ctx context.Context, args []string) error {
	folder := c.flags.String("images", images.Folder, "folder of make images, below root")
	github := c.flags.String("github", os.DevNull, `file to append images=["NAME",…] to ($GITHUB_OUTPUT)`)
	if err := c.flags.Parse(args); err != nil {
		return err
	}
	built, err := delivery.Built(filepath.Join(c.repository.Root, *folder))
	if err != nil {
		return err
	}
	changed, err := delivery.New(ctx, c.repository, built)
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
	out, err := os.OpenFile(*github, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.MultiWriter(c.stdout, out), "images=%s\n", list)
	return errors.Join(err, out.Close())
}

func (c *command) publish(ctx context.Context, args []string) error {
	folder := c.flags.String("images", images.Folder, "folder of make images, below root")
	pushed := c.flags.String("chart", ".local/charts/pizza.pushed", "what tools/push-charts.sh has pushed, below root")
	c.trusting()
	if err := c.parse(args, nil); err != nil {
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
	return c.planned(plan, err)
}

func (c *command) attest(ctx context.Context, args []string) error {
	environment := c.flags.String("env", "", "environment that images leave")
	service := c.flags.String("service", "", "login, menu or order; the migration comes along")
	revision := c.flags.String("revision", "", "commit that it must have been synced to (default: that of its last sync)")
	kubectl := c.flags.String("kubectl", "kubectl", "the program, which finds the cluster of Argo CD by KUBECONFIG")
	c.trusting()
	if err := c.parse(args, environment); err != nil {
		return err
	}
	cluster := delivery.Cluster{Kubectl: *kubectl, Patience: 2 * time.Minute}
	passed, images, err := delivery.Attest(ctx, c.repository, c.evidence, cluster, *environment, *service, *revision)
	if err != nil {
		return fmt.Errorf("nothing was attested:\n%w", err)
	}
	for _, i := range images {
		_, err = fmt.Fprintf(c.stdout, "%s %s %s has passed %s in %s\n",
			i.Key, i.Tag, i.Digest, strings.Join(passed.Checks, ", "), passed.Environment)
	}
	return err
}

// planned prints a plan, and tells people the next step.
func (c *command) planned(p delivery.Plan, err error) error {
	if err != nil {
		return fmt.Errorf("nothing was changed:\n%w", err)
	}
	if len(p.Changes) == 0 {
		_, err = fmt.Fprintln(c.stdout, "nothing to change: the same images run there already")
		return err
	}
	file := delivery.Path(p.Environment)
	_, err = fmt.Fprintf(c.stderr, "%s is changed in this checkout: look at it (git diff) and commit it\n\n", file)
	return errors.Join(err, pullRequest(c.stdout, p))
}
