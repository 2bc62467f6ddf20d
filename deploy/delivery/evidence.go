package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// PredicateType names the attestation that an image has passed the checks of a stage.
const PredicateType = "https://example.com/pizza/stage-checks/v1"

// Checks is the predicate of that attestation.
type Checks struct {
	Environment string    `json:"environment"`
	Revision    string    `json:"revision"` // the commit by which the environment ran the image
	Chart       string    `json:"chart"`    // the digest of the chart that it ran with
	Checks      []string  `json:"checks"`
	Time        time.Time `json:"time"`
}

// Evidence reads and writes the signatures and attestations of images in their
// registry, by cosign.
type Evidence struct {
	Cosign   string // the program
	Registry string // prefix of the name of each image
	Releaser Signer // signs images, and attests nothing
	Verifier Signer // attests that images passed checks, and signs none
	Issuer   string // of both identities, if they have no key
}

// Signer identifies a trusted signer, by a key or an identity.
type Signer struct {
	// Key is the file of a public key, such as cosign.pub. To sign, the private key
	// must be next to it, as cosign.key, and its password in COSIGN_PASSWORD. Without a
	// key, signatures are keyless, by Identity.
	Key      string
	Identity string // regular expression
}

// apart returns an error if releaser and verifier are the same, which could then do both.
func (e Evidence) apart() error {
	if r, v := e.Releaser, e.Verifier; r.Key == v.Key && (r.Key != "" || r.Identity == v.Identity) {
		return fmt.Errorf("the signer of images must not attest checks: both are %q", r.Key+r.Identity)
	}
	return nil
}

func (e Evidence) reference(i Image) string {
	return e.Registry + "/" + i.Repository() + "@" + i.Digest
}

// trusts returns cosign's flags for a trusted signer. With a key, cosign does not use
// the public transparency log.
func (e Evidence) trusts(s Signer) []string {
	if s.Key != "" {
		return []string{"--key", s.Key, "--insecure-ignore-tlog=true"}
	}
	return []string{"--certificate-identity-regexp", s.Identity, "--certificate-oidc-issuer", e.Issuer}
}

// signs returns cosign's flags for signing. With a key, cosign accesses only the registry.
func (s Signer) signs() []string {
	if s.Key != "" {
		private := strings.TrimSuffix(s.Key, ".pub") + ".key"
		return []string{"--key", private, "--use-signing-config=false", "--tlog-upload=false"}
	}
	return nil
}

// cosign runs a command on an image. The error is the last line that it prints.
func (e Evidence) cosign(ctx context.Context, i Image, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, e.Cosign, append(args, e.reference(i))...)
	cmd.Env = append(os.Environ(), "COSIGN_YES=true")
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if text := strings.TrimSpace(stderr.String()); err != nil && text != "" {
		last := text[strings.LastIndexByte(text, '\n')+1:]
		err = errors.New(strings.TrimPrefix(last, "error during command execution: "))
	}
	return out, err
}

// Signed returns an error if the image has no trusted signature.
func (e Evidence) Signed(ctx context.Context, i Image) error {
	if _, err := e.cosign(ctx, i, nil, append([]string{"verify"}, e.trusts(e.Releaser)...)...); err != nil {
		return fmt.Errorf("%s has no trusted signature: %w", e.reference(i), err)
	}
	return nil
}

// Sign signs an image.
func (e Evidence) Sign(ctx context.Context, i Image) error {
	_, err := e.cosign(ctx, i, nil, append([]string{"sign"}, e.Releaser.signs()...)...)
	return err
}

// Passed returns an error if the image has not passed the checks of an environment with
// a chart. cosign compares the digest in the attestation with that of the image.
func (e Evidence) Passed(ctx context.Context, i Image, environment string, chart Image) error {
	args := append([]string{"verify-attestation", "--type", PredicateType}, e.trusts(e.Verifier)...)
	out, err := e.cosign(ctx, i, nil, args...)
	if err != nil {
		return fmt.Errorf("%s has passed no checks of %s: %w", e.reference(i), environment, err)
	}
	var others []string
	for line := range bytes.Lines(out) {
		var envelope struct{ Payload []byte }
		var statement struct{ Predicate Checks }
		err := json.Unmarshal(line, &envelope)
		if err == nil {
			err = json.Unmarshal(envelope.Payload, &statement)
		}
		if err != nil {
			return fmt.Errorf("attestation of %s: %w", e.reference(i), err)
		}
		c := statement.Predicate
		if c.Environment == environment && c.Chart == chart.Digest {
			return nil
		}
		others = append(others, c.Environment+" with the chart "+c.Chart)
	}
	return fmt.Errorf("%s has passed no checks of %s with the chart %s, only those of %s",
		e.reference(i), environment, chart.Digest, strings.Join(others, ", "))
}

// Attest signs an attestation that an image has passed checks.
func (e Evidence) Attest(ctx context.Context, i Image, c Checks) error {
	predicate, err := json.Marshal(c)
	if err != nil {
		return err
	}
	args := append([]string{"attest", "--type", PredicateType, "--predicate", "-"}, e.Verifier.signs()...)
	_, err = e.cosign(ctx, i, predicate, args...)
	return err
}
