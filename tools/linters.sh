#!/bin/sh
# linters.sh: lint what the environments run with kube-linter, the rules with pint, and the
# dashboards with Grafana's dashboard-linter. kube-linter and pint are built from modules
# that the Go checksum database verifies. A replacement in its go.mod keeps dashboard-linter
# from that, so it is the released binary.
set -eu
kube_linter=v0.8.3
pint=v0.89.2
dashboard_linter=0.2.0
sha256=6cf73633018ef705cd12eda88736b872f5858137baa9dc9df83262d721934fac
bin=$PWD/${BIN:-.local/bin}
export GOBIN="$bin" GOWORK=off
out=.local/linters
rm -rf "$out"
mkdir -p "$bin" "$out"

go install "golang.stackrox.io/kube-linter/cmd/kube-linter@$kube_linter"
go install "github.com/cloudflare/pint/cmd/pint@$pint"
release=https://github.com/grafana/dashboard-linter/releases/download/v$dashboard_linter
curl -fsSL -o "$out/release.tgz" "$release/dashboard-linter_${dashboard_linter}_linux_amd64.tar.gz"
echo "$sha256  $out/release.tgz" | sha256sum --check --quiet
tar -xzf "$out/release.tgz" -C "$bin" dashboard-linter

# Each tool fails for findings too, so its output must show that it has judged something.
judged() { grep -q "$1" "$2" || { cat "$2" >&2; exit 1; }; }

"$bin/helm" dependency build helm/pizza > /dev/null
for values in deploy/environments/*/values.yaml; do
    environment=$(basename "$(dirname "$values")")
    "$bin/helm" template pizza helm/pizza --namespace pizza -f "$values" > "$out/$environment.yaml"
    "$bin/kube-linter" lint "$out/$environment.yaml" > "$out/said.txt" 2>&1 || judged '(check: ' "$out/said.txt"
    sed -nE "s/^.*\(object: ([^)]*)\) (.*) \(check: ([^,]*),.*/$environment: \1 \3: \2/p" "$out/said.txt" >> "$out/kube-linter.txt"
done

"$bin/pint" --no-color --offline lint --min-severity info helm/pizza/files/rules > "$out/said.txt" 2>&1 || true
judged 'Checking Prometheus rules' "$out/said.txt"
awk '/^[A-Z][a-z]+: .*\)$/ { problem = $0 } /^ *---> / { print $2 " " $4 " " problem }' "$out/said.txt" > "$out/pint.txt"

for dashboard in helm/pizza/files/dashboards/*.json; do
    "$bin/dashboard-linter" lint --strict --verbose "$dashboard" > "$out/said.txt" 2>&1 || true
    judged '^Checks that ' "$out/said.txt"
    awk '!/^\[/ { rule = $0 } /^\[(❌|⚠)/ { sub(/^[^ ]* /, ""); print rule " " $0 }' "$out/said.txt" >> "$out/dashboard-linter.txt"
done

failed=
for tool in kube-linter pint dashboard-linter; do
    tools/findings.sh "$tool" < "$out/$tool.txt" || failed=1
done
[ -z "$failed" ]
