#!/bin/bash
# check.sh: run all checks of a change except make test. STEPS selects steps. Every
# step runs, even after a failure. A table of times is printed last.
set -uo pipefail
all="lint vuln generated contracts openapi charts rules delivery policy dockerfiles pooler secrets"
more='chaos fuzz linters' # when asked for: two take as long as they are given, the third downloads from GitHub
steps=${STEPS:-$all}
[ -n "${steps// /}" ] || { printf 'check: STEPS is empty\nsteps: %s\n' "$all $more" >&2; exit 2; }
[ -n "${MODULES// /}" ] || { echo "check: MODULES is empty, so nothing would be checked" >&2; exit 2; }
for step in $steps; do
    case " $all $more " in
    *" $step "*) ;;
    *) printf 'check: unknown step "%s"\nsteps: %s\n' "$step" "$all $more" >&2; exit 2 ;;
    esac
done
bin=$PWD/$BIN
tools() { for tool in "$@"; do make -s --no-print-directory "$BIN/$tool" || return 1; done; }
packages() { for module in $MODULES; do printf './%s/... ' "$module"; done; }

# Style, import rules, and workflows.
lint() {
    tools golangci-lint actionlint || return 1
    # shellcheck disable=SC2046 # one word each
    "$bin/golangci-lint" run --allow-serial-runners $(packages) && "$bin/actionlint"
}
# Known vulnerabilities in the code that we call.
vuln() {
    # shellcheck disable=SC2086
    tools govulncheck && tools/vuln.sh "$bin/govulncheck" $MODULES
}
# Generated code is current, go.mod files are tidy, and each module builds alone.
generated() {
    make -s --no-print-directory generate || return 1
    if ! git diff --exit-code -- services || [ -n "$(git ls-files --others --exclude-standard services)" ]; then
        echo "generated code is not current: commit what make generate changed" >&2
        return 1
    fi
    for module in $MODULES; do
        (cd "$module" && GOWORK=off go mod tidy -diff && GOWORK=off go build -o /dev/null ./...) || return 1
    done
}
# Document changes that break a consumer. make test runs the tests of both sides.
contracts() { tools/contracts.sh compare; }
# Mistakes in the OpenAPI documents.
openapi() { tools/openapi.sh; }
charts() { tools helm helm-unittest helm-docs kubeconform kube-score && tools/charts.sh "$bin"; }
# Prometheus rules, dashboards, and the pages that show them.
rules() { tools promtool prometheus helm && go test -race -count=1 ./deploy/observability/...; }
# Images, promotion with real signatures, workflows, the played takeover, and the code of the load test and the cluster
# tests.
delivery() {
    tools cosign helm ko withpostgres && "$bin/withpostgres" \
        go test -race -count=1 -skip '^TestPinned$' ./deploy/delivery/... ./deploy/images/... ./deploy/loadtest/... ./deploy/takeover/... ./deploy/e2e/... ./deploy/policy/... ./deploy/workflows/...
}
# The admission policy of stg and prod, with signed and unsigned images.
policy() {
    tools helm kyverno cosign || return 1
    "$bin/helm" dependency build helm/pizza > /dev/null || return 1
    go build -o "$bin/policy" ./deploy/policy && "$bin/policy"
}
# The Dockerfiles build the same as make images. PULL=1 uses the real base images.
dockerfiles() { tools/dockerfiles.sh; }
# Services, events and migrate behind a PgBouncer in transaction mode.
pooler() {
    tools withpostgres || return 1
    # TestDatabaseGone restarts the server on the same port.
    "$bin/withpostgres" go test -count=1 -tags pgbouncer -run '^Test(PoolerIsRefused|SettingsLeak|DatesThroughAPooler)$' ./pkg/postgres ./pkg/testkit/pgbouncer ./migrations &&
        TEST_POOLER=on "$bin/withpostgres" go test -count=1 -skip '^TestDatabaseGone$' ./pkg/events/postgres \
            ./services/order/internal/postgres ./services/login/internal/... ./services/menu/internal/... &&
        TEST_POOLER=on "$bin/withpostgres" go test -count=1 -run '^Test(Contract|Place|List|Orders|Repeat|Key|NoClaim)' ./services/order/internal/app
}
# The chaos test, with CHAOS times the rounds of make test (10).
chaos() { CHAOS="${CHAOS:-10}" go test -count=1 -v -timeout 2h -run TestChaos ./deploy/local/system; }
# Every fuzz target, for FUZZTIME each (30s).
fuzz() {
    # shellcheck disable=SC2086
    tools withpostgres && "$bin/withpostgres" tools/fuzz.sh $MODULES
}
# Manifests, rules and dashboards, with linters that are downloaded.
linters() { tools helm && tools/linters.sh; }
# Secrets in the full git history.
secrets() { tools gitleaks && "$bin/gitleaks" git . --config .github/gitleaks.toml --redact --no-banner --verbose; }

failed=0
table=
for step in $steps; do
    printf '\n=== %s: check %s\n' "$(date +%T)" "$step"
    began=$SECONDS
    result=ok
    "$step" || { result=FAILED; failed=1; }
    table+=$(printf '%-12s %5d s   %s' "$step" $((SECONDS - began)) "$result")$'\n'
done
printf '\n%s' "$table"
[ $failed = 0 ] || echo 'repeat one step with: make check STEPS="..."'
exit $failed
