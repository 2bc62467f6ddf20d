#!/bin/sh
# sign.sh COSIGN DIR: sign every image that the push step recorded in DIR (NAME.pushed),
# and attest its SBOMs, if any (NAME-linux-*.spdx.json). In GitHub Actions the signer is the
# workflow (keyless). Elsewhere it is the key COSIGN_KEY, and nothing is sent to the
# public transparency log.
set -eu
cosign=$1
dir=$2
set -- --yes
if [ -n "${COSIGN_KEY:-}" ]; then
    set -- "$@" --key "$COSIGN_KEY" --use-signing-config=false --tlog-upload=false
fi
ls "$dir"/*.pushed > /dev/null 2>&1 || { echo "nothing in $dir was pushed: tools/delivery.sh push" >&2; exit 1; }
for pushed in "$dir"/*.pushed; do
    read -r image version reference < "$pushed"
    "$cosign" sign "$@" "$reference"
    for sbom in "${pushed%.pushed}"-linux-*.spdx.json; do
        [ ! -f "$sbom" ] || "$cosign" attest "$@" --type spdxjson --predicate "$sbom" "$reference"
    done
    echo "signed $image $version: $reference"
done
