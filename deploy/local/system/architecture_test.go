package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/pizza/pkg/events/connect"
)

const module = "example.com/pizza/"

// TestArchitecture checks the direction of all direct and transitive
// dependencies.
func TestArchitecture(t *testing.T) {
	t.Parallel()
	services := []string{"login", "menu", "order"}

	t.Run("domains", func(t *testing.T) {
		// A domain may use the standard library and these packages of pkg, but no
		// HTTP, SQL, Redis or metrics.
		ours := []string{module + "pkg/fault", module + "pkg/money", module + "pkg/password", module + "pkg/text"}
		forbidden := []string{
			"net/http", "database/sql", "github.com/labstack/", "github.com/jackc/", "github.com/redis/",
			"github.com/prometheus/", "go.opentelemetry.io/",
		}
		for _, service := range services {
			domain := module + "services/" + service + "/internal/" + service
			for _, d := range dependencies(t, domain) {
				isOther := strings.HasPrefix(d, module) && d != domain && !slices.Contains(ours, d)
				isForbidden := slices.ContainsFunc(forbidden, func(f string) bool {
					return d == f || strings.HasSuffix(f, "/") && strings.HasPrefix(d, f)
				})
				if isOther || isForbidden {
					t.Errorf("the domain of %s reaches %s", service, d)
				}
			}
		}
	})
	t.Run("services_are_strangers", func(t *testing.T) {
		for _, service := range services {
			for _, d := range dependencies(t, module+"services/"+service+"/...") {
				if strings.HasPrefix(d, module+"services/") && !strings.HasPrefix(d, module+"services/"+service+"/") ||
					strings.HasPrefix(d, module+"migrations") || strings.HasPrefix(d, module+"deploy/") {
					t.Errorf("%s reaches %s", service, d)
				}
			}
		}
	})
	t.Run("pkg_knows_nobody", func(t *testing.T) {
		for _, d := range dependencies(t, module+"pkg/...") {
			if strings.HasPrefix(d, module) && !strings.HasPrefix(d, module+"pkg/") {
				t.Errorf("pkg reaches %s", d)
			}
		}
	})
	t.Run("charts_count_connections", func(t *testing.T) {
		want := fmt.Sprintf("eventConnections: %d}", connect.Connections)
		values, err := os.ReadFile(filepath.Join(root(t), "helm", "pizza", "values.yaml"))
		if err != nil || strings.Count(string(values), want) != len(services) {
			t.Errorf("the charts do not count the %d connections for events of each process: %v", connect.Connections, err)
		}
	})
	t.Run("production_has_no_test_kit", func(t *testing.T) {
		for _, binary := range []string{
			"services/login/cmd/login", "services/menu/cmd/menu", "services/order/cmd/order", "migrations/cmd/migrate",
		} {
			for _, d := range dependencies(t, module+binary) {
				if strings.HasPrefix(d, module+"pkg/testkit/") || d == "testing" {
					t.Errorf("%s reaches %s", binary, d)
				}
			}
		}
	})
}

// dependencies returns the transitive dependencies of a package pattern.
func dependencies(t *testing.T, pattern string) []string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", pattern)
	command.Dir = root(t)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pattern, err)
	}
	all := strings.Fields(string(out))
	if len(all) == 0 {
		t.Fatalf("%s has no dependencies", pattern)
	}
	return all
}
