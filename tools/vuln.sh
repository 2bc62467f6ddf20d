#!/bin/sh
# vuln.sh GOVULNCHECK MODULE...: check the code that the modules call for known
# vulnerabilities in the Go vulnerability database (GOVULNDB replaces vuln.go.dev). If
# the database is unreachable, it warns and passes, or fails with VULN=required.
set -u
check=$1
shift
for module in "$@"; do
    if out=$(cd "$module" && "$check" -db="${GOVULNDB:-https://vuln.go.dev}" ./... 2>&1); then
        printf 'no known vulnerability is called in %s\n' "$module"
        continue
    fi
    case $out in
    *"fetching vulnerabilities"*)
        printf '\nNOT CHECKED FOR KNOWN VULNERABILITIES: the database cannot be reached.\n%s\n\n' "$out" >&2
        [ "${VULN:-}" != required ] || exit 1
        exit 0
        ;;
    esac
    printf '%s: %s\n' "$module" "$out" >&2
    exit 1
done
