#!/bin/bash
# mutate.sh: mutate the code of PACKAGES one operator at a time, and expect a test to
# fail. Packages of pkg run only their own tests. The domains and stores of the services
# run the tests of their service, which takes minutes to an hour. A surviving mutant fails
# the run, unless tools/mutate-excused.txt has a line for it with the reason why no test
# can or should kill it. Uncovered code has no mutants here: make cover shows it.
set -euo pipefail
all="pkg/admission pkg/audit pkg/bind pkg/clientaddr pkg/edge pkg/money pkg/password pkg/ratelimit pkg/secret pkg/text pkg/token
services/login/internal/login services/menu/internal/menu services/order/internal/order
services/login/internal/postgres services/menu/internal/postgres services/order/internal/postgres"
packages=${PACKAGES:-$all}
[ -n "${packages//[[:space:]]/}" ] || { echo "mutate: PACKAGES is empty" >&2; exit 2; }
for package in $packages; do
    case $package in
    *[!/]/*[!/]) [ ! -d "$package" ] || [ -z "$(find "$package" -maxdepth 1 -name '*.go')" ] || continue ;;
    esac
    echo "mutate: no package \"$package\", such as pkg/money" >&2
    exit 2
done
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Tests of order start these two, which a copy of its module cannot build.
go build -o "$work/" ./services/login/cmd/login ./services/menu/cmd/menu
# Not run for mutants: tests of documents outside the module, and long ones of other
# things than a domain or a store: time, load, processes and traces.
skip='^Test(Readme|ChartKnows|Allocations|Spike|Rotation|TraceOfAnOrder|ClientHangsUp|RefusedOrdersCostNothing'
skip+='|PriceChangeReachesEveryReplica|PlaceOrderWithoutMenu|PlaceOrderWhileMenuFails|OrderEndsWithItsRequest'
skip+='|PlacedOrdersArePublished|PricesOfAnOrderBelongTogether|NotificationsAreNotBelieved)'
export GOWORK=off NEIGHBOURS=$work
for package in $packages; do
    module=$package
    while [ ! -e "$module/go.mod" ]; do module=$(dirname "$module"); done
    # Mutants are built in a copy of the module, where its relative replacements do not
    # resolve.
    sed -E "s#=> (\.\.?/.*)#=> \"$root/$module/\1\"#" "$module/go.mod" > "$work/go.mod"
    cp "$module/go.sum" "$work/go.sum"
    flags=(--workers 2 --timeout-coefficient 20)
    [ "$module" = pkg ] || flags=(--workers 1 --integration --coverpkg ./internal/... --timeout-coefficient 10)
    printf '\n%s\n' "$package"
    (cd "$module" && GOFLAGS="'-modfile=$work/go.mod' '-skip=$skip' -vet=off -count=1" "$root/$BIN/gremlins" unleash "./${package#"$module"/}" \
        --exclude-files '\.gen\.go$|/db/' --output-statuses l "${flags[@]}") > "$work/out" 2>&1 || { cat "$work/out"; exit 1; }
    # A run without a summary has tested nothing.
    grep -E '^(Killed|Mutator|Test eff)' "$work/out" || { cat "$work/out" >&2; exit 1; }
    # A mutant is identified by file, kind and line text, because line numbers change.
    sed -nE 's/^ *LIVED ([A-Z_]+) at ([^:]+):([0-9]+):[0-9]+.*/\1 \2 \3/p' "$work/out" | while read -r kind file line; do
        text=$(sed -n "${line}s/^[[:space:]]*//p" "$package/$file")
        if ! grep -qF "$package/$file | $kind | $text | " tools/mutate-excused.txt; then
            printf 'SURVIVED %s | %s | %s\n' "$package/$file" "$kind" "$text" | tee -a "$work/survived"
        fi
    done
done
if [ -s "$work/survived" ]; then
    echo "kill them by a test, or excuse them in tools/mutate-excused.txt with \" | REASON\"" >&2
    exit 1
fi
