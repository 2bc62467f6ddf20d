#!/bin/sh
# hooks.sh: make git run make pre-commit on staged changes before each commit.
# OFF=1 disables it. Hooks in another folder are left alone.
set -eu
was=$(git config --default '' core.hooksPath)
if [ -n "${OFF:-}" ]; then
    [ "$was" != tools/hooks ] || git config --unset core.hooksPath
    echo "make pre-commit no longer runs before commits"
    exit 0
fi
if [ -n "$was" ] && [ "$was" != tools/hooks ]; then
    echo "git already runs the hooks of $was: call tools/hooks/pre-commit from there" >&2
    exit 1
fi
git config core.hooksPath tools/hooks
echo "git now runs make pre-commit before each commit (make hooks OFF=1 stops that)"
