#!/bin/sh
# announce.sh: publish the release TAG on GitHub, with the commits since the previous
# release.
set -eu
step=announce
. tools/inputs.sh
needs TAG=v1.2.3
takes TAG 'v[0-9]{1,9}(\.[0-9]{1,9}){2}(-[a-z0-9.]{1,30})?' 'a release, such as v1.2.3'
notes=.local/notes.md
mkdir -p .local
before=$(git describe --tags --match 'v*' --abbrev=0 "$TAG^" 2> /dev/null || true)
git log --no-merges --format='- %s (%h)' "${before:+$before..}$TAG" -- > "$notes"
gh release create "$TAG" --verify-tag --title "$TAG" --notes-file "$notes"
