#!/bin/sh
# propose.sh TARGET: make TARGET, which changes what runs in an environment and says in
# Markdown what that means (MARKDOWN=1), and open a pull request with both: its title is
# the first line. With MERGE=auto it is merged once its checks have passed. Without gh, or
# without a remote repository, the branch and its text are left for whoever pushes it.
set -eu
target=$1
text=.local/proposal.md
branch=$target${TO:+-$TO}${ENV:+-$ENV}${SERVICE:+-$SERVICE}-$(date -u +%Y%m%d%H%M%S)
mkdir -p .local
[ -z "$(git status --porcelain -- deploy/environments)" ] || { echo "deploy/environments has changes that are not committed" >&2; exit 1; }
make -s --no-print-directory "$target" MARKDOWN=1 > "$text"
if [ -z "$(git status --porcelain -- deploy/environments)" ]; then
    echo "nothing to propose: make $target changed nothing"
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
# The token is in the environment of this command alone, not in the settings of git.
git -c credential.helper= -c credential.helper='!gh auth git-credential' push --quiet origin "$branch"
gh pr create --base main --head "$branch" --title "$title" --body-file "$text"
[ "${MERGE:-}" != auto ] || gh pr merge "$branch" --auto --squash
