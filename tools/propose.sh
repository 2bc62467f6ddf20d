#!/bin/sh
# propose.sh STEP: run a step of delivery.sh that changes the images of an environment
# and prints the text of a pull request, and open a pull request with both. The first
# line is the title. MERGE=auto merges it once its checks pass. Without gh or a token,
# the branch and its text stay local.
set -eu
target=$1
text=.local/proposal.md
branch=$(printf %s "$target${TO:+-$TO}${ENV:+-$ENV}${SERVICE:+-$SERVICE}-$(date -u +%Y%m%d%H%M%S)" | tr -c 'A-Za-z0-9-' -)
mkdir -p .local
[ -z "$(git status --porcelain -- deploy/environments)" ] || { echo "deploy/environments has changes that are not committed" >&2; exit 1; }
tools/delivery.sh "$target" > "$text"
if [ -z "$(git status --porcelain -- deploy/environments)" ]; then
    echo "nothing to propose: $target changed nothing"
    exit 0
fi
title=$(head -n 1 "$text")
git switch --quiet --create "$branch"
git -c user.name="${GIT_NAME:-pizza delivery}" -c user.email="${GIT_EMAIL:-delivery@users.noreply.github.com}" \
    commit --quiet --message "$title" --message "$(sed 1d "$text")" -- deploy/environments
if ! command -v gh > /dev/null || [ -z "${GH_TOKEN:-}" ]; then
    echo "branch $branch is ready; its text is in $text"
    exit 0
fi
# Only this command uses the token. It is not stored in the git configuration.
git -c credential.helper= -c credential.helper='!gh auth git-credential' push --quiet origin "$branch"
gh pr create --base main --head "$branch" --title "$title" --body-file "$text"
[ "${MERGE:-}" != auto ] || gh pr merge "$branch" --auto --squash
