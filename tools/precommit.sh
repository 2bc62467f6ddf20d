#!/bin/sh
# precommit.sh: check the changes since HEAD, since another branch (BASE=main), or only
# the staged changes (STAGED=1, as in the hook). It finds in seconds the problems that
# CI would report minutes later. The rest is left to CI.
#
# Texts are checked as they would be committed. Code is compiled, linted and generated
# in the working tree, and only in touched modules.
set -eu
step=pre-commit
. tools/inputs.sh
takes BASE "$revision" 'a commit, a tag or a branch'
bin=$BIN
staged=${STAGED:-}
most=512 # KiB
against=HEAD
if [ -n "${BASE:-}" ]; then
    against=$(git merge-base HEAD "$BASE") || { echo "pre-commit: BASE: unknown revision \"$BASE\"" >&2; exit 2; }
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git() { command git -c core.quotePath=false "$@"; }

refuse() { # TEXT: report TEXT and the files on standard input, if any
    list=$(cat)
    [ -z "$list" ] || { printf '%s:\n%s\n' "$1" "$list" >&2; touch "$work/refused"; }
}
end() { [ ! -e "$work/refused" ] || exit 1; }

# A copy of the files as they would be committed, and the names of all touched files.
mkdir "$work/tree"
if [ -n "$staged" ]; then
    git diff --cached --name-only --diff-filter=d > "$work/there"
    git diff --cached --name-only --no-renames > "$work/touched"
    git checkout-index --prefix="$work/tree/" --stdin < "$work/there"
else
    { git diff "$against" --name-only --diff-filter=d; git ls-files --others --exclude-standard; } > "$work/there"
    { git diff "$against" --name-only --no-renames; git ls-files --others --exclude-standard; } > "$work/touched"
    { git diff -z "$against" --name-only --diff-filter=d; git ls-files -z --others --exclude-standard; } |
        tar --null -cf - -T - | tar -xf - -C "$work/tree"
fi
touched() { grep -qE "$1" "$work/touched"; }

# Texts. The patterns match only secrets with a distinctive format.
in_tree() { (cd "$work/tree" && "$@" | sed 's|^\./||'); }
in_tree grep -rnIE '^(<{7}|>{7}|[|]{7}) ' . | refuse "conflict markers"
in_tree find . -type f -size "+${most}k" | refuse "larger than $most KiB, which every clone has to download"
in_tree find . -type f '(' -name '*.key' -o -name '*.pem' -o -name '*.p12' -o -name .env ')' | refuse "keys and credentials belong in no repository"
in_tree grep -rnIE -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' -e 'AKIA[0-9A-Z]{16}' -e 'gh[pousr]_[A-Za-z0-9]{36}' -e 'github_pat_[A-Za-z0-9_]{22}' \
    -e 'xox[abprs]-[A-Za-z0-9-]{10}' -e 'AIza[0-9A-Za-z_-]{35}' . | refuse "secrets; once pushed, they have to be replaced"
in_tree gofmt -l . 2>&1 | refuse "not formatted (gofmt -w)"
end

# Regenerate files. A file that changes was out of date.
state() { git ls-files --cached --others --exclude-standard services helm | sort -u | while read -r f; do [ ! -f "$f" ] || cksum "$f"; done; }
state > "$work/was"
if touched '^services/[a-z]+/(api/|internal/.*\.(ya?ml|sql)$|internal/.*/(db|menuapi)/)|^migrations/sql/|^deploy/observability/(dashboard|cmd/dashboards)/|^helm/pizza/files/dashboards/'; then
    make -s generate
fi
if touched '^helm/'; then
    make -s "$bin/helm-docs"
    tools/charts-generate.sh "$bin"
fi
state > "$work/is"
if ! diff "$work/was" "$work/is" > "$work/written"; then
    sed -n 's/^> [0-9]* [0-9]* //p' "$work/written" | refuse "was not current, and is now; add it"
elif [ -n "$staged" ]; then
    git diff --name-only | { grep -E '\.gen\.go$|/postgres/db/|/dashboards/.*\.json$|^helm/.*(/README\.md|\.schema\.json)$' || true; } | refuse "is generated, and not staged"
fi
end

# Tests that compare the code with documents.
if touched '(\.md|^\.github/.*)$' || git diff "$against" | grep -qE '^[-+].*[ `]env:"'; then
    go test -count=1 -run '^Test(Decisions|Documents|Forms|Owners|Plan|Readme.*|ThreatModel)$' ./deploy/local/system ./pkg/audit \
        ./services/login/internal/app ./services/menu/internal/app ./services/order/internal/app
    documents=yes
fi

# Workflows, and the files that platform tests compare.
if touched '^\.github/|^\.ko\.yaml$|^deploy/(e2e|images|workflows)/|/Dockerfile$'; then
    go test -count=1 ./deploy/workflows/...
    go test -count=1 -run '^Test(ReadmeListsTheSettings|Bases)$' ./deploy/e2e ./deploy/images
fi

# Code, module by module.
grep -E '(\.go|/go\.mod|/go\.sum)$' "$work/touched" | while read -r file; do
    folder=$(dirname "$file")
    while [ ! -e "$folder/go.mod" ] && [ "$folder" != . ]; do folder=$(dirname "$folder"); done
    [ ! -e "$folder/go.mod" ] || echo "$folder"
done | sort -u > "$work/modules"
root=$PWD
while read -r module <&3; do
    case $module in
    tools | tools/*) # outside the workspace, mostly without code
        ! touched "^$module/[^/]*\.go$" || (cd "$module" && GOWORK=off go vet ./...)
        continue
        ;;
    esac
    (cd "$module" && go vet ./...)
    ! touched "^$module/go\.(mod|sum)$" || (cd "$module" && GOWORK=off go mod tidy -diff)
    make -s "$bin/golangci-lint"
    (cd "$module" && "$root/$bin/golangci-lint" run --allow-serial-runners ./...)
done 3< "$work/modules"
modules=$(paste -sd' ' "$work/modules")
echo
printf '%-10s %s\n' files "$(wc -l < "$work/touched")" modules "${modules:-none}" checked \
    "texts, secrets, formatting, generated code${documents:+, documents}${modules:+, vet, linters}"
next=$(sed -n '/^tools/!s|.*| ./&/...|p' "$work/modules" | tr -d '\n')
[ -z "$next" ] || printf '%-10s go test%s\n' next "$next"
