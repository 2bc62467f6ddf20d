#!/bin/sh
# charts.sh BIN: check the charts with the tools in BIN. Generated files are current,
# unit tests pass (helm-unittest), and everything rendered in every scenario is valid
# on every supported version of Kubernetes.
set -eu
bin=$1
schemas=.local/schemas
services="login menu order"
charts="$services pizza"
export HELM_DATA_HOME="$PWD/.local/helm" HELM_CACHE_HOME="$PWD/.local/helm/cache" HELM_CONFIG_HOME="$PWD/.local/helm/config"

generated() { cat helm/*/values.schema.json helm/*/README.md helm/pizza/files/*/* | cksum; }
before=$(generated 2> /dev/null || true)
tools/charts-generate.sh "$bin"
[ "$before" = "$(generated)" ] || { echo "schemas or READMEs of the charts were not current: commit what was written" >&2; exit 1; }
(cd tools/charts && GOWORK=off go run ./schemas "../../$schemas")

for chart in $charts; do
    "$bin/helm" dependency build "helm/$chart" > /dev/null
done
"$bin/helm-unittest" --strict helm/pizza

scenario() { # NAME CHART VALUES
    "$bin/helm" lint --strict --quiet "helm/$2" -f "$3"
    for version in $(cd "$schemas" && ls -d v1.*); do
        "$bin/helm" template pizza "helm/$2" --namespace pizza -f "$3" --kube-version "$version" > .local/rendered.yaml
        "$bin/kubeconform" -strict -summary -kubernetes-version "${version#v}" \
            -schema-location "$schemas/{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json" \
            -schema-location "$schemas/crd/{{ .ResourceKind }}{{ .KindSuffix }}.json" < .local/rendered.yaml |
            { read -r summary; echo "$1 on $version: $summary"; case $summary in *"Invalid: 0, Errors: 0, Skipped: 0"*) ;; *) cat; exit 1 ;; esac; }
    done
}
# The schemas must reject each of these values.
while read -r set; do
    if "$bin/helm" template pizza helm/order -f helm/order/ci/alone-values.yaml --set "$set" > .local/rendered.yaml 2> .local/refused.txt ||
        ! grep -q "don't meet the specifications" .local/refused.txt; then
        echo "helm/order takes $set" >&2
        exit 1
    fi
done << BAD
typo=1
global.typo=1
replicas=0
global.environment=production
global.postgresql.sslmode=on
global.corsAllowedOrigins[0]=https://pizza.example/
global.trustedProxies[0]=10.0.0.1
global.trustedProxies[0]=0.0.0.0/0
global.image.registry=registry.example/
global.imagePolicy.subject=release.yml
image.digest=sha256:abc
global.logLevel=loud
global.corsAllowedOrigins[0]=https://*.pizza.example
global.corsAllowedOrigins[0]=pizza.example
resources.limits.memory=half
resources.limits.memory=256MB
config.ORDER_QUEUE=100
config.ORDER_QEUE=x
config.ORDER_QUEUE=many
config.ORDER_QUEUE=-1
config.ORDER_RATE_PER_MEMBER=30
config.REQUEST_TIMEOUT=5
config.OTEL_TRACES_SAMPLER_ARG=2
config.ADMIN_TOKEN=a-token-of-at-least-32-bytes-00001
secrets.values.ADMIN_TOKN=x
config.lower=x
BAD
for chart in $charts; do
    for values in "helm/$chart"/ci/*-values.yaml; do
        scenario "$chart, $(basename "$values" -values.yaml)" "$chart" "$values"
    done
done
for environment in dev stg prod; do
    scenario "environment $environment" pizza "deploy/environments/$environment/values.yaml,deploy/environments/$environment/images.yaml"
done
