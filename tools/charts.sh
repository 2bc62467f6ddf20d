#!/bin/sh
# charts.sh BIN: check the charts with the tools in BIN. Generated files are current,
# unit tests pass (helm-unittest), and everything rendered in every scenario is valid
# on every supported version of Kubernetes, and has no findings of kube-score.
set -eu
bin=$1
schemas=.local/schemas
export HELM_DATA_HOME="$PWD/.local/helm" HELM_CACHE_HOME="$PWD/.local/helm/cache" HELM_CONFIG_HOME="$PWD/.local/helm/config"

generated() { cat helm/pizza/values.schema.json helm/*/README.md | cksum; }
before=$(generated 2> /dev/null || true)
tools/charts-generate.sh "$bin"
[ "$before" = "$(generated)" ] || { echo "the schema or READMEs of the charts were not current: commit what was written" >&2; exit 1; }
(cd tools/charts && GOWORK=off go run ./schemas "../../$schemas")

"$bin/helm" dependency build helm/pizza > /dev/null
ls helm/pizza/tests/*_test.yaml > /dev/null # without any, helm-unittest passes
"$bin/helm-unittest" --strict helm/pizza

versions=$(cd "$schemas" && ls -d v1.*)
scenario() { # NAME VALUES
    "$bin/helm" lint --strict --quiet helm/pizza -f "$2"
    for version in $versions; do
        "$bin/helm" template pizza helm/pizza --namespace pizza -f "$2" --kube-version "$version" > .local/rendered.yaml
        "$bin/kubeconform" -strict -summary -kubernetes-version "${version#v}" \
            -schema-location "$schemas/{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json" \
            -schema-location "$schemas/crd/{{ .ResourceKind }}{{ .KindSuffix }}.json" < .local/rendered.yaml |
            { read -r summary; echo "$1 on $version: $summary"; case $summary in *" Valid: 0,"*) exit 1 ;; *"Invalid: 0, Errors: 0, Skipped: 0"*) ;; *) cat; exit 1 ;; esac; }
        # It also exits with 1 for findings. A run without an OK has judged nothing.
        "$bin/kube-score" score --kubernetes-version "${version%.*}" --output-format ci .local/rendered.yaml \
            > .local/scored.txt || grep -q '^\[OK\]' .local/scored.txt
        sed -nE "s/^\[(CRITICAL|WARNING)\] /$1: /p" .local/scored.txt >> .local/findings.txt
    done
}
# The schema must reject each of these values, and name it.
while read -r set; do
    value=${set%%=*}
    value=${value##*.}
    if "$bin/helm" template pizza helm/pizza -f helm/pizza/ci/order-values.yaml --set "$set" > .local/rendered.yaml 2> .local/refused.txt ||
        ! grep -q "don't meet the specifications" .local/refused.txt || ! grep -q "${value%%\[*}" .local/refused.txt; then
        echo "the charts take $set, or refuse it without its name" >&2
        exit 1
    fi
done << BAD
typo=1
order.typo=1
login.typo=1
shared.typo=true
payment=1
global.postgresql.typo=1
order.enabled=yes
order.replicas=0
global.environment=Prod
global.postgresql.sslmode=on
global.corsAllowedOrigins[0]=https://pizza.example/
global.trustedProxies[0]=10.0.0.1
global.trustedProxies[0]=0.0.0.0/0
global.image.registry=registry.example/
global.imagePolicy.subject=release.yml
global.imagePolicy.signers[0].repositories[0]=registry.example
global.imagePolicy.signers[0].repositories[0]=registry.example/mesh/
global.imagePolicy.signers[0].repositories[0]=registry.example/mesh/*
global.imagePolicy.unsigned[0]=registry.example/sql-proxy:2
order.image.digest=sha256:abc
global.logLevel=loud
global.corsAllowedOrigins[0]=https://*.pizza.example
global.corsAllowedOrigins[0]=pizza.example
order.autoscaling.triggers[0]=cpu
order.resources.limits.memory=half
order.resources.limits.memory=256MB
order.config.ORDER_QUEUE=100
menu.config.ORDER_QUEUE=x
order.config.ORDER_QEUE=x
order.config.ORDER_QUEUE=many
order.config.ORDER_QUEUE=-1
order.config.ORDER_RATE_PER_MEMBER=30
order.config.REQUEST_TIMEOUT=5
order.config.OTEL_TRACES_SAMPLER_ARG=2
order.config.ADMIN_TOKEN=a-token-of-at-least-32-bytes-00001
order.secrets.values.ADMIN_TOKN=x
order.config.lower=x
global.networkPolicy.ingressController[0].typo=1
global.networkPolicy.extraEgress=all
global.pods.typo=1
migration.tolerations=spot
smoke.podLabels.team=7
migration.externalSecret.data.DB_USER.propety=user
order.service.type=ExternalName
httpRoute.timeouts.request=15
takeover.typo=1
takeover.controller=haproxy
takeover.weights.login=101
takeover.weights.menu=-1
takeover.weights.order=1.5
takeover.weights.order=null
takeover.mirror.menu=1
takeover.mirror.menu=null
takeover.header=X_Side
takeover.legacy.addresses[0]=old.example
takeover.legacy.port=0
takeover.legacy.selector.app=1
BAD
: > .local/findings.txt
for values in helm/pizza/ci/*-values.yaml; do
    scenario "scenario $(basename "$values" -values.yaml)" "$values"
done
for values in deploy/environments/*/values.yaml; do
    scenario "environment $(basename "$(dirname "$values")")" "$values"
done
tools/findings.sh kube-score < .local/findings.txt
go test -count=1 -run '^TestPinned$' ./deploy/e2e # each with the chart that it pins
