package observability_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"mvdan.cc/sh/v3/syntax"

	"example.com/pizza/migrations/migrationstest"
)

// A page is a document whose commands an operator types.
type page struct {
	name, text string
	// Statements by language: "sh", "sql" or "promql".
	statements map[string][]string
}

// Languages of code blocks without commands.
var silent = []string{"yaml", "nginx", "text"}

var (
	block  = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	inline = regexp.MustCompile("`([^`]+)`")
	// A name that the operator fills in, such as <pod>.
	blank = regexp.MustCompile(`<([A-Za-z_]+)>`)
	// SQL in a sentence has an object, unlike the mention of a keyword.
	sqlInline = regexp.MustCompile(`^(SELECT|SHOW|UPDATE|DELETE FROM|ALTER|DROP|SET|BEGIN;) ?\S+ ?\S`)
	option    = regexp.MustCompile(`^[a-z./]+ .*(^| )--?[a-z]`)
)

// pages are the documents that an operator follows.
var pages = []string{"runbooks/*.md", "../../docs/operations/*.md", "../README.md", "../policy/README.md"}

// readPage finds the commands of a page in its code blocks and its sentences.
func readPage(name, text string) (page, error) {
	p := page{name: name, text: text, statements: map[string][]string{}}
	var failed []error
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		switch language, code := m[1], m[2]; {
		case language == "sh":
			p.statements["sh"] = append(p.statements["sh"], code)
		case language == "sql":
			for statement := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(code), ";"), ";\n") {
				p.statements["sql"] = append(p.statements["sql"], statement)
			}
		case language == "promql":
			p.statements["promql"] = append(p.statements["promql"], strings.Split(strings.TrimSpace(code), "\n")...)
		case !slices.Contains(silent, language):
			failed = append(failed, fmt.Errorf("a code block is %q, not sh, sql, promql or one of %q", language, silent))
		}
	}
	for _, m := range inline.FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
		code := strings.Join(strings.Fields(m[1]), " ")
		words := strings.Fields(strings.TrimSpace(regexp.MustCompile(`^([A-Z_]+=\S+ )+`).ReplaceAllString(code, "")))
		switch {
		case sqlInline.MatchString(code):
			p.statements["sql"] = append(p.statements["sql"], code)
		case len(words) > 1 && programs[words[0]] != nil, option.MatchString(code):
			p.statements["sh"] = append(p.statements["sh"], code)
		}
	}
	return p, errors.Join(failed...)
}

// TestCommands checks every command of the pages: those of a shell against what the chart
// renders for prod and what this repository has, SQL by running it on the current schema,
// and PromQL against the metrics that exist.
func TestCommands(t *testing.T) {
	t.Parallel()
	prod, metrics := renderProd(t), known(t)
	counts := map[string]int{}
	for _, pattern := range pages {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := readPage(file, string(text))
			if err != nil {
				t.Errorf("%s: %v", file, err)
			}
			for language, statements := range p.statements {
				counts[language] += len(statements)
			}
			for _, script := range p.statements["sh"] {
				if err := checkScript(p, script, prod); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
			for _, query := range p.statements["promql"] {
				mustRead(t, file, query, metrics)
			}
			runStatements(t, p)
		}
	}
	if counts["sh"] < 100 || counts["sql"] < 30 || counts["promql"] < 30 {
		t.Errorf("the pages have %v statements", counts)
	}
}

// TestCommandsRefuse checks that the check finds what cannot work.
func TestCommandsRefuse(t *testing.T) {
	t.Parallel()
	prod := renderProd(t)
	for command, want := range map[string]string{
		"helm -n pizza-prod rollback pizza":                                                   "Argo CD",
		"kubectl -n pizza-prod logs job/migrate":                                              "no Job/migrate",
		"kubectl -n pizza-prod describe deploy order":                                         "no Deployment/order",
		"kubectl -n pizza-prod describe deploy/order-deploy -l app.kubernetes.io/name=orders": "no Deployment has the labels",
		"kubectl -n pizza-prod logs -l app=order --tail=9":                                    "no Pod has the labels",
		"kubectl -n pizza-prod logs -l app.kubernetes.io/name=order":                          "without --tail",
		"kubectl -n pizza-prod logs deploy/order-deploy -c web":                               "no container web",
		"kubectl -n pizza-prod port-forward deploy/order-deploy 8080":                         "no port 8080",
		"kubectl -n pizza-prod exec deploy/order-deploy -- sh":                                "no shell",
		"kubectl -n pizza-prod run psql --image=postgres:16":                                  "signed",
		"kubectl -n pizza-prod debug <pod> --image=busybox":                                   "signed",
		"kubectl -n pizza-prod scale deploy/order-deploy --replicas=9":                        "the autoscaler",
		"kubectl -n pizza-prod rollout undo deploy/order-deploy":                              "rollout undo",
		"kubectl -n pizza-prod get configmap order":                                           "no ConfigMap/order",
		"kubectl -n pizza-prod get wizards":                                                   "kind wizards",
		"kubectl -n pizza-prod get pods --frobnicate":                                         "--frobnicate",
		"kubectl -n pizza-production get pods":                                                "namespace pizza-production",
		"kubectl get pods":                                                                    "no namespace",
		"kubectl -n pizza-prod get pods | frobnicate":                                         "frobnicate",
		"make roll-back ENV=prod":                                                             "no make roll-back",
		"make rollback PROD=1":                                                                "PROD",
		"make check STEPS=chart":                                                              "chart",
		"ENV=prod tools/delivery.sh histories":                                                "histories",
		"ENVIRONMENT=prod tools/delivery.sh history":                                          "ENVIRONMENT",
		"argocd app sync pizza-prod-orders":                                                   "pizza-prod-orders",
		"migrate stat":                                                                        "migrate stat",
		"go run ./migrations/cmd/migrate stat":                                                "migrate stat",
		"curl localhost:9999/":                                                                "9999",
		"curl http://order-svc:8000/":                                                         "order-svc",
		"curl localhost:9090/api/v1/query --data-urlencode 'query=up{'":                       "up{",
		"psql -h db":              "psql",
		"if true; then kubectl; ": "must end with",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			p, err := readPage("page.md", "`"+command+"`")
			if err != nil || len(p.statements["sh"]) == 0 {
				p.statements["sh"] = []string{command}
			}
			if err := checkScript(p, p.statements["sh"][0], prod); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
	if _, err := readPage("page.md", "```\nmake run\n```\n"); err == nil {
		t.Error("a code block without a language is accepted")
	}
}

// checkScript checks each command of a script.
func checkScript(p page, script string, prod release) error {
	parsed, err := syntax.NewParser().Parse(strings.NewReader(blank.ReplaceAllString(script, "_$1")), p.name)
	if err != nil {
		return fmt.Errorf("%s: %w", script, err)
	}
	own := map[string]bool{} // functions of the script
	var failed []error
	syntax.Walk(parsed, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			own[n.Name.Value] = true
		case *syntax.CallExpr:
			c := command{page: p, prod: prod}
			for _, a := range n.Assigns {
				c.sets = append(c.sets, a.Name.Value)
			}
			for _, word := range n.Args {
				c.args = append(c.args, textOf(word))
			}
			if len(c.args) == 0 || own[c.args[0]] {
				return true
			}
			check := programs[c.args[0]]
			if check == nil {
				check = func(c command) error { return fmt.Errorf("the program %s is not known to this test", c.args[0]) }
			}
			if err := check(c); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", strings.Join(c.args, " "), err))
			}
		}
		return true
	})
	return errors.Join(failed...)
}

// textOf returns a word without its quotes.
func textOf(word *syntax.Word) string {
	var b strings.Builder
	syntax.Walk(word, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Lit:
			b.WriteString(n.Value)
		case *syntax.SglQuoted:
			b.WriteString(n.Value)
		case *syntax.ParamExp:
			b.WriteString("_" + n.Param.Value)
			return false
		case *syntax.CmdSubst:
			b.WriteString("_output")
			return false
		}
		return true
	})
	return b.String()
}

// runStatements runs the SQL of a page on the current schema, as a member of pg_monitor and
// pg_signal_backend. Where the page names pizza_owner or a superuser, a statement may need it.
func runStatements(t *testing.T, p page) {
	t.Helper()
	if len(p.statements["sql"]) == 0 {
		return
	}
	db := migrationstest.New(t)
	migrator, conn := connect(t, db.URL("migrator")), connect(t, db.URL(""))
	run := func(conn *pgx.Conn, sql string) error {
		_, err := conn.PgConn().Exec(t.Context(), sql).ReadAll() // any number of statements
		return err
	}
	if err := errors.Join(run(migrator, "SET ROLE pizza_owner"), run(conn, "BEGIN; CREATE ROLE runbook_operator;"+
		"GRANT pg_monitor, pg_signal_backend TO runbook_operator;"+
		"CREATE INDEX _name ON orders (order_id); ALTER INDEX _name OWNER TO pizza_owner")); err != nil {
		t.Fatal(err)
	}
	roles := []string{"SET ROLE runbook_operator"}
	if strings.Contains(p.text, "SET ROLE pizza_owner") {
		roles = append(roles, "SET ROLE pizza_owner")
	}
	if strings.Contains(p.text, "superuser") {
		roles = append(roles, "RESET ROLE")
	}
	filled := strings.NewReplacer("'<id>'", "gen_random_uuid()", "<pid>", "0", "<name>", "_name", "<who>", "nobody",
		"<consumer>", "kitchen", "BEGIN;", "", "CONCURRENTLY ", "", "DATABASE pizza", "DATABASE "+conn.Config().Database)
	for _, statement := range p.statements["sql"] {
		var failed []error
		for _, role := range roles {
			err := run(conn, "SAVEPOINT s; "+role+"; "+filled.Replace(statement))
			if err == nil {
				failed = nil
				break
			}
			failed = append(failed, fmt.Errorf("%s: %w", role, err), run(conn, "ROLLBACK TO s"))
		}
		if err := errors.Join(failed...); err != nil {
			t.Errorf("%s: %s\n%v", p.name, statement, err)
		}
	}
	if err := run(conn, "ROLLBACK"); err != nil { // the role, which databases share
		t.Fatal(err)
	}
}
