#!/bin/sh
# e2e.sh [gitops]: build what a walk on the cluster needs, and run it.
set -eu
step=${1:-e2e}
. tools/inputs.sh
needs 'E2E_LOAD_IMAGE="kind load image-archive"'
if [ "$step" = gitops ]; then
    for tool in argocd rollouts prometheus cosign helm; do make -s --no-print-directory "$BIN/$tool"; done
    go build -o "$BIN/delivery" ./deploy/delivery/cmd/delivery
fi
go build -o "$BIN/e2e" ./deploy/e2e
exec "$BIN/e2e" "$@"
