// Package allowed reads the list of vulnerabilities that a release may have
// temporarily: .github/allowed-vulnerabilities.yaml. Each entry has a reason and a last
// day. An incomplete or expired entry fails the build, so that no entry is forgotten.
package allowed

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Vulnerability is an allowed vulnerability.
type Vulnerability struct {
	ID     string `json:"id"`     // in any database: CVE-…, GHSA-…, GO-…
	Module string `json:"module"` // the only module in which it is allowed
	Reason string `json:"reason"` // why it is harmless here, or what the fix waits for
	Until  string `json:"until"`  // the last day, as 2026-12-31
}

// Longest is the maximum time until the last day. An extension needs a new reason.
const Longest = 90 * 24 * time.Hour

// shortest is the minimum length of a reason, to prevent reasons like "later".
const shortest = 20

var id = regexp.MustCompile(`^(CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3}|GO-\d{4}-\d{4,})$`)

// Read reads the list as of a day, and returns all of its errors at once.
func Read(content []byte, today time.Time) ([]Vulnerability, error) {
	var file struct {
		Allowed []Vulnerability `json:"allowed"`
	}
	if err := yaml.UnmarshalStrict(content, &file); err != nil {
		return nil, err
	}
	var errs []error
	seen := map[string]bool{}
	for _, v := range file.Allowed {
		name := v.ID + " in " + v.Module
		for _, err := range v.wrong(today) {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		if seen[name] {
			errs = append(errs, fmt.Errorf("%s: is there twice", name))
		}
		seen[name] = true
	}
	return file.Allowed, errors.Join(errs...)
}

func (v Vulnerability) wrong(today time.Time) []error {
	var errs []error
	if !id.MatchString(v.ID) {
		errs = append(errs, errors.New("is no CVE-…, GHSA-… or GO-…"))
	}
	if v.Module == "" {
		errs = append(errs, errors.New("says no module"))
	}
	if len(strings.TrimSpace(v.Reason)) < shortest {
		errs = append(errs, errors.New("says no reason"))
	}
	switch until, err := time.Parse(time.DateOnly, v.Until); {
	case err != nil:
		errs = append(errs, errors.New("says no day until when, as 2026-12-31"))
	case today.After(until.AddDate(0, 0, 1)):
		errs = append(errs, fmt.Errorf("was allowed until %s", v.Until))
	case until.Sub(today) > Longest:
		errs = append(errs, fmt.Errorf("is allowed until %s, more than %d days away", v.Until, int(Longest.Hours()/24)))
	}
	return errs
}

// Grype returns the configuration that makes grype ignore them.
func Grype(all []Vulnerability) ([]byte, error) {
	type object = map[string]any
	ignore := []object{}
	for _, v := range all {
		ignore = append(ignore, object{"vulnerability": v.ID, "reason": v.Reason, "package": object{"name": v.Module}})
	}
	return yaml.Marshal(object{"ignore": ignore})
}
