#!/bin/sh
# charts-generate.sh BIN: generate the value schema and READMEs of the charts, and
# copy the rules and dashboards into the umbrella, because a chart cannot read files
# outside of its folder.
set -eu
bin=$1
(cd tools/charts && GOWORK=off go run ./values ../../helm)
rm -rf helm/pizza/files
mkdir -p helm/pizza/files/rules helm/pizza/files/dashboards
cp deploy/observability/rules/*.yaml helm/pizza/files/rules
cp deploy/observability/dashboards/*.json helm/pizza/files/dashboards
"$bin/helm-docs" --chart-search-root helm --skip-version-footer --log-level error
