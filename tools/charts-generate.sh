#!/bin/sh
# charts-generate.sh BIN: generate the value schema and READMEs of the charts.
set -eu
bin=$1
(cd tools/charts && GOWORK=off go run ./values ../../helm)
"$bin/helm-docs" --chart-search-root helm --skip-version-footer --log-level error
