#!/bin/sh
# announce.sh TAG: publish a release on GitHub with what make changelog says of it.
set -eu
tag=$1
notes=.local/notes.md
mkdir -p .local
make -s --no-print-directory changelog TAG="$tag" > "$notes"
gh release create "$tag" --verify-tag --title "$tag" --notes-file "$notes"
