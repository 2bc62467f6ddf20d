#!/bin/sh
# findings.sh TOOL < FINDINGS: fail for each finding of a linter, one a line, unless
# tools/findings-excused.txt has a line for it with a reason. An excuse without a finding
# fails too.
set -eu
sort -u | awk -F ' [|] ' -v tool="$1" '
    NR == FNR && $1 == tool && $3 == "" { print "no reason: " $0; failed = 1 }
    NR == FNR { if ($1 == tool) used[$2] = 0; next }
    {
        excused = 0
        for (pattern in used) if ($0 ~ pattern) excused = used[pattern] = 1
        if (!excused) { print tool ": " $0; failed = 1 }
    }
    END {
        for (pattern in used) if (!used[pattern]) { print "excuses nothing: " tool " | " pattern; failed = 1 }
        if (failed) print "fix each finding, or excuse it in tools/findings-excused.txt"
        exit failed
    }' tools/findings-excused.txt - >&2
