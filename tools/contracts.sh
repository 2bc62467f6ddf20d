#!/bin/sh
# contracts.sh [compare]: test consumers and providers against their contracts, and
# compare the documents with those of BASE (default: the last release). compare skips
# the consumer and provider tests, because make test runs them. BREAKING=accepted
# reports a breaking change without failing. JSON=1 prints only JSON on standard output.
set -eu
step=contracts
. tools/inputs.sh
takes BASE "$revision" 'a commit, a tag or a branch'
takes BREAKING accepted accepted
failed=
GOWORK=off go -C tools build -o "../$BIN/contracts" ./contracts
[ "${1:-}" = compare ] || "$BIN/withpostgres" go test -count=1 -run '^TestContract' ./services/login/internal/app ./services/menu/internal/app \
    ./services/order/internal/app ./services/order/internal/menuclient ./deploy/local/internal/guide \
    ./deploy/local/internal/kitchen >&2 || failed=1
GOWORK=off go -C tools test -count=1 ./contracts >&2 || failed=1
set --
[ -z "${BASE:-}" ] || set -- "$@" -base "$BASE"
[ "${BREAKING:-}" != accepted ] || set -- "$@" -accept
[ -z "${JSON:-}" ] || set -- "$@" -json
"$BIN/contracts" "$@" || failed=1
[ -z "$failed" ]
