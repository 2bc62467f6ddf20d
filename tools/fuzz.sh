#!/bin/sh
# fuzz.sh MODULE...: run every fuzz target of the modules, for FUZZTIME each.
set -eu
time=${FUZZTIME:-30s}
files=$(grep -rlE '^func Fuzz' --include='*_test.go' "$@") || { echo "there is no fuzz target in $*" >&2; exit 1; }
printf '%s\n' "$files" | sort -u | while read -r file; do
    grep -oE '^func Fuzz[A-Za-z0-9_]*' "$file" | cut -d' ' -f2 | while read -r target; do
        echo "== $target ($file)"
        (cd "$(dirname "$file")" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" .) < /dev/null
    done
done
