#!/bin/sh
# announce.sh TAG: publish a release on GitHub with what make changelog says of the
# commits since the release before it.
set -eu
tag=$1
notes=.local/notes.md
mkdir -p .local
before=$(git describe --tags --match 'v*' --abbrev=0 "$tag^" 2> /dev/null || true)
make -s --no-print-directory changelog RANGE="${before:+$before..}$tag" > "$notes"
gh release create "$tag" --verify-tag --title "$tag" --notes-file "$notes"
