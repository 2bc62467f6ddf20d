#!/bin/sh
# cover.sh DIR MODULE...: test each module with coverage over all its packages except
# generated code, and print one number per module. HTML goes to DIR.
set -eu
dir=$1
shift
printf '%-18s %s\n' module coverage
for module in "$@"; do
    name=$(echo "$module" | tr / -)
    out=$PWD/$dir/$name.out
    (cd "$module" && go test -coverpkg=./... -coverprofile="$out.all" ./... > "$out.log" 2>&1) || { cat "$out.log"; exit 1; }
    grep -v -E '\.gen\.go:|/db/|/withpostgres/' "$out.all" > "$out"
    rm "$out.all" "$out.log"
    (cd "$module" && go tool cover -html="$out" -o "${out%.out}.html")
    printf '%-18s %s\n' "$module" "$(cd "$module" && go tool cover -func="$out" | awk 'END { print $3 }')"
done
printf '\nline by line: %s/*.html\n' "$dir"
