#!/bin/sh
# tool.sh NAME: build a tool into .local/bin, once and again when its module or the compiler changes. The content of
# the module decides, because every checkout changes the times of files. A second call waits for the first.
set -eu
name=$1
cd "$(dirname "$0")"
bin=$PWD/../.local/bin
module=.
case $name in
golangci-lint) package=github.com/golangci/golangci-lint/v2/cmd/golangci-lint ;;
govulncheck) package=golang.org/x/vuln/cmd/govulncheck ;;
oapi-codegen) package=github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen ;;
kube-score) package=github.com/zegl/kube-score/cmd/kube-score ;;
sqlc) package=github.com/sqlc-dev/sqlc/cmd/sqlc ;;
gitleaks) module=platform package=github.com/zricethezav/gitleaks/v8 ;;
gremlins) package=github.com/go-gremlins/gremlins/cmd/gremlins ;;
grype) module=platform package=github.com/anchore/grype/cmd/grype ;;
ko) module=platform package=github.com/google/ko ;;
cosign) module=platform package=github.com/sigstore/cosign/v3/cmd/cosign ;;
kyverno) module=kyverno package=github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno ;;
prometheus | promtool) module=platform package=github.com/prometheus/prometheus/cmd/$name ;;
actionlint) module=actionlint package=github.com/rhysd/actionlint/cmd/actionlint ;;
helm) module=charts package=helm.sh/helm/v4/cmd/helm ;;
helm-unittest) module=charts package=github.com/helm-unittest/helm-unittest/cmd/helm-unittest ;;
helm-docs) module=charts package=github.com/norwoodj/helm-docs/cmd/helm-docs ;;
kubeconform) module=charts package=github.com/yannh/kubeconform/cmd/kubeconform ;;
argocd) module=argocd package=. ;;
rollouts) module=rollouts package=github.com/argoproj/argo-rollouts/cmd/rollouts-controller ;;
*) echo "tool.sh: unknown tool \"$name\"" >&2 && exit 2 ;;
esac
mkdir -p "$bin"
cd "$module"
exec 9> "$bin/.$name.lock"
! command -v flock > /dev/null || flock 9
built=$bin/.$name.built
now=$(go env GOVERSION; cat go.mod go.sum ./*.go 2> /dev/null | cksum)
[ ! -x "$bin/$name" ] || [ "$now" != "$(cat "$built" 2> /dev/null)" ] || exit 0
echo "building $name (once; some take minutes)" >&2
# Without debug information. The tag leaves Prometheus only discovery by files; no other tool knows it.
GOWORK=off go build -ldflags "-s -w" -tags remove_all_sd -o "$bin/$name" "$package"
echo "$now" > "$built"
