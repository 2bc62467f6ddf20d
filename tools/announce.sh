#!/bin/sh
# announce.sh: publish the release TAG on GitHub, with the commits since the previous
# release.
set -eu
tag=$TAG
notes=.local/notes.md
mkdir -p .local
before=$(git describe --tags --match 'v*' --abbrev=0 "$tag^" 2> /dev/null || true)
RANGE="${before:+$before..}$tag" tools/delivery.sh changelog > "$notes"
gh release create "$tag" --verify-tag --title "$tag" --notes-file "$notes"
