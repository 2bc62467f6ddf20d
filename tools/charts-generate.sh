#!/bin/sh
# charts-generate.sh BIN: write what is generated in the charts: the schema of their
# values, their READMEs, and the rules and dashboards, of which the umbrella has a
# copy because a chart reaches nothing outside of its folder.
set -eu
bin=$1
(cd tools/charts && GOWORK=off go run ./values ../../helm)
rm -rf helm/pizza/files
mkdir -p helm/pizza/files/rules helm/pizza/files/dashboards
cp deploy/observability/rules/*.yaml helm/pizza/files/rules
cp deploy/observability/dashboards/*.json helm/pizza/files/dashboards
"$bin/helm-docs" --chart-search-root helm --skip-version-footer --log-level error
