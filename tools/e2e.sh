#!/bin/sh
# e2e.sh [gitops]: build what a walk on the cluster needs, and run it.
set -eu
step=${1:-e2e}
. tools/inputs.sh
needs 'E2E_LOAD_IMAGE="kind load image-archive"'
tools="ko cosign helm"
if [ "$step" = gitops ]; then
    tools="$tools argocd rollouts prometheus"
    go build -o "$BIN/delivery" ./deploy/delivery/cmd/delivery
else
    go build -o "$BIN/traffic" ./deploy/takeover/traffic
fi
for tool in $tools; do make -s --no-print-directory "$BIN/$tool"; done
go build -o "$BIN/e2e" ./deploy/e2e
exec "$BIN/e2e" "$@"
