#!/bin/sh
# vuln.sh GOVULNCHECK MODULE...: look for known vulnerabilities in what the modules
# call, by the Go vulnerability database (GOVULNDB names another than vuln.go.dev).
# Where that cannot be reached it says so and passes, or fails with VULN=required.
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
