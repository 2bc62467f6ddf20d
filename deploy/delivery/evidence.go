package delivery

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// PredicateType names the attestation that an image has passed the checks of a stage.
const PredicateType = "https://example.com/pizza/stage-checks/v1"

// Checks is the predicate of that attestation.
type Checks struct {
	Environment string    `json:"environment"`
	Revision    string    `json:"revision"` // the commit by which the environment ran the image
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
	// must be next to it, as cosign.key. Without a key, signatures are keyless, by
	// Identity.
	Key      string
	Identity string // regular expression
}

func (e Evidence) reference(i Image) string {
	return e.Registry + "/" + i.Repository() + "@" + i.Digest
}

// trust returns cosign's flags for a trusted signer. With a key, cosign does not use
// the public transparency log.
func (e Evidence) trust(s Signer) []string {
	if s.Key != "" {
		return []string{"--key", s.Key, "--insecure-ignore-tlog=true"}
	}
	return []string{"--certificate-identity-regexp", s.Identity, "--certificate-oidc-issuer", e.Issuer}
}

// apart returns an error if releaser and verifier are the same, or only one of them
// has a key. Otherwise one of them could do both.
func (e Evidence) apart() error {
	switch r, v := e.Releaser, e.Verifier; {
	case r.Key == "" && v.Key == "":
		if r.Identity == v.Identity {
			return fmt.Errorf("who signs images must not attest checks: both are %q", r.Identity)
		}
	case r.Key == "" || v.Key == "":
		return errors.New("who signs images and who attests checks must both have a key, or neither")
	case r.Key == v.Key:
		return fmt.Errorf("who signs images must not attest checks: both have the key %s", r.Key)
	}
	return nil
}

func (e Evidence) cosign(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, e.Cosign, args...)
	cmd.Env = append(os.Environ(), "COSIGN_YES=true")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			last := text[strings.LastIndexByte(text, '\n')+1:]
			err = errors.New(strings.TrimPrefix(last, "error during command execution: "))
		}
		return nil, err
	}
	return out, nil
}

// Signed returns an error if the image has no trusted signature.
func (e Evidence) Signed(ctx context.Context, i Image) error {
	if _, err := e.cosign(ctx, append(append([]string{"verify"}, e.trust(e.Releaser)...), e.reference(i))...); err != nil {
		return fmt.Errorf("%s is not signed by whom we trust: %w", e.reference(i), err)
	}
	return nil
}

// Passed returns an error if the image has not passed the checks of an environment.
func (e Evidence) Passed(ctx context.Context, i Image, environment string) error {
	return e.passed(ctx, i, environment, func(Checks) error { return nil })
}

// PassedWith is like Passed, but ignores checks while the environment pinned another
// chart.
func (e Evidence) PassedWith(ctx context.Context, i Image, environment string, chart Image, r Repository) error {
	return e.passed(ctx, i, environment, func(c Checks) error {
		if !commit.MatchString(c.Revision) { // git would accept the index, which is not committed
			return fmt.Errorf("%q is no commit", c.Revision)
		}
		then, err := r.images(ctx, environment, c.Revision)
		if err == nil && of(then, Chart).Digest != chart.Digest {
			err = fmt.Errorf("with the chart %s, not %s", of(then, Chart).Tag, chart.Tag)
		}
		return err
	})
}

// passed returns an error if the image has no checks of the environment that count
// accepts.
func (e Evidence) passed(ctx context.Context, i Image, environment string, count func(Checks) error) error {
	out, err := e.cosign(ctx, append(append([]string{"verify-attestation", "--type", PredicateType}, e.trust(e.Verifier)...), e.reference(i))...)
	if err != nil {
		return fmt.Errorf("%s has passed no checks of %s: %w", e.reference(i), environment, err)
	}
	var elsewhere []string
	var otherwise []error
	for line := range bytes.Lines(out) {
		checks, digest, err := statement(line)
		if err != nil {
			return fmt.Errorf("attestation of %s: %w", e.reference(i), err)
		}
		if checks.Environment == environment && "sha256:"+digest == i.Digest && len(checks.Checks) > 0 {
			if err := count(checks); err != nil {
				otherwise = append(otherwise, err)
				continue
			}
			return nil
		}
		elsewhere = append(elsewhere, checks.Environment)
	}
	if len(otherwise) > 0 {
		return fmt.Errorf("%s has passed the checks of %s, but: %w", e.reference(i), environment, errors.Join(otherwise...))
	}
	return fmt.Errorf("%s has passed no checks of %s, only of %s", e.reference(i), environment, strings.Join(elsewhere, ", "))
}

// statement reads an in-toto statement in its DSSE envelope, as cosign prints it.
func statement(line []byte) (c Checks, digest string, err error) {
	var envelope struct{ Payload string }
	if err := json.Unmarshal(line, &envelope); err != nil {
		return c, "", err
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil {
		return c, "", err
	}
	var s struct {
		Subject []struct {
			Digest struct{ SHA256 string }
		}
		Predicate Checks
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return c, "", err
	}
	if len(s.Subject) != 1 {
		return c, "", fmt.Errorf("%d subjects", len(s.Subject))
	}
	return s.Predicate, s.Subject[0].Digest.SHA256, nil
}

// Sign signs an image. With a key, whose password is in COSIGN_PASSWORD, Sign and
// Attest access only the registry.
func (e Evidence) Sign(ctx context.Context, i Image) error {
	return e.Releaser.with(func(flags []string) error {
		_, err := e.cosign(ctx, append(append([]string{"sign"}, flags...), e.reference(i))...)
		return err
	})
}

// Attest signs an attestation that an image has passed checks.
func (e Evidence) Attest(ctx context.Context, i Image, c Checks) error {
	return e.Verifier.with(func(flags []string) error {
		predicate, err := os.CreateTemp("", "stage-checks-*.json")
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(predicate.Name()) }()
		if err := errors.Join(json.NewEncoder(predicate).Encode(c), predicate.Close()); err != nil {
			return err
		}
		_, err = e.cosign(ctx, append(append([]string{"attest", "--type", PredicateType, "--predicate", predicate.Name()}, flags...), e.reference(i))...)
		return err
	})
}

// with calls do with cosign's flags for signing.
func (s Signer) with(do func(flags []string) error) error {
	if s.Key == "" {
		return do(nil)
	}
	folder, err := os.MkdirTemp("", "signing-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	config := filepath.Join(folder, "config.json") // without a transparency log or a time stamp
	const none = `{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}`
	if err := os.WriteFile(config, []byte(none), 0o600); err != nil {
		return err
	}
	return do([]string{"--key", strings.TrimSuffix(s.Key, ".pub") + ".key", "--signing-config", config})
}
