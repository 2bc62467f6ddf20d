#!/bin/sh
# scan.sh GRYPE DIR: look for known vulnerabilities in the built images, by
# their bills of materials in DIR, and fail on those of high severity that are not
# allowed for a while (.github/allowed-vulnerabilities.yaml). Where the database of
# vulnerabilities cannot be reached it says so and passes, or fails with VULN=required.
set -eu
grype=$1
dir=$2
# First: an allowance that is over fails without a database, too.
go run ./deploy/workflows/cmd/allowed .github/allowed-vulnerabilities.yaml > "$dir/grype.yaml"
ls "$dir"/*.cdx.json > /dev/null 2>&1 || { echo "there are no images in $dir: make images" >&2; exit 1; }
for materials in "$dir"/*.cdx.json; do
    image=$(basename "$materials" .cdx.json)
    if out=$("$grype" "sbom:$materials" --config "$dir/grype.yaml" --fail-on high 2>&1); then
        printf '%s: %s\n' "$image" "$out"
        continue
    fi
    case $out in
    *"failed to load vulnerability db"*)
        printf '\nNOT SCANNED: the database of vulnerabilities cannot be reached.\n%s\n\n' "$out" >&2
        [ "${VULN:-}" != required ] || exit 1
        exit 0
        ;;
    esac
    printf '%s: %s\n' "$image" "$out" >&2
    exit 1
done
