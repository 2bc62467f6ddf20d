package main

import (
	"os"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"
)

// The certificate contains the identity of the signer, and the chart defines which identities are trusted.
func TestIdentity(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../helm/pizza/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values struct {
		Global struct {
			ImagePolicy struct{ Subject string }
		}
	}
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	subject, err := regexp.Compile(values.Global.ImagePolicy.Subject)
	if err != nil {
		t.Fatal(err)
	}
	const workflows = "https://github.com/example/pizza/.github/workflows/"
	for identity, counts := range map[string]bool{
		workflows + "release.yml@refs/heads/main":                                         true,
		workflows + "release.yml@refs/tags/v1.2.0":                                        false,
		workflows + "release.yml@refs/heads/mine":                                         false,
		workflows + "release.yml@refs/heads/main2":                                        false,
		workflows + "release.yml@refs/pull/7/merge":                                       false,
		workflows + "release.yml@refs/tags/v1/../heads/x":                                 false,
		workflows + "verify.yml@refs/heads/main":                                          false,
		workflows + "releaseXyml@refs/heads/main":                                         false,
		"https://github.com/example/pizza2/.github/workflows/release.yml@refs/heads/main": false,
		"https://github.com/somebody/pizza/.github/workflows/release.yml@refs/heads/main": false,
		"https://evil.example/?" + workflows + "release.yml@refs/heads/main":              false,
		"somebody@example.com":                                                            false,
	} {
		if got := subject.MatchString(identity); got != counts {
			t.Errorf("%s counts: %v, want %v", identity, got, counts)
		}
	}
}
