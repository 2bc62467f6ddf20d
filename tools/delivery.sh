#!/bin/sh
# delivery.sh STEP: run one step of delivery: code, images, changed, scan, push, sign,
# push-charts, publish, attest, promote, rollback, history.
#
# Values are environment variables, which are checked before anything is built: IMAGES, TAG,
# REGISTRY, BASE, ENV, TO, SERVICE, REVISION, and PULL=1 and ALL=1. No value becomes part of
# a command line that a shell or make parses.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.local/bin
step=${1:-}
. tools/inputs.sh
images="login menu order migrate"

takes IMAGES '(login|menu|order|migrate)( (login|menu|order|migrate))*' 'names of login, menu, order and migrate'
takes TAG '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}' 'a tag of an image'
takes REGISTRY '[a-z0-9]([a-z0-9.-]{0,99}[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]{0,99}[a-z0-9])?){0,9}' \
    'a host and a path, such as ghcr.io/me/pizza'
takes BASE "$revision" 'a commit, a tag or a branch'
# In the order of promotion: an image leaves each but the last, and enters each but the first.
environments=$(sed -n 's/^  - {name: \([a-z0-9-]*\),.*/\1/p' deploy/environments/environments.yaml)
takes_one_of ENV "$environments"
takes SERVICE 'login|menu|order' 'login, menu or order'
takes REVISION '[0-9a-f]{40}' 'a commit of 40 hex digits'
tool() { make -s --no-print-directory ".local/bin/$1" >&2; } # standard output is the step's alone
delivery() { # COMMAND [FLAG...]
    command=$1
    shift
    exec go run ./deploy/delivery/cmd/delivery "$command" "$@"
}
case $step in
code)
    # Is there more than images that move between environments? What is moved was tested before.
    code=true
    if [ -n "${BASE:-}" ] && git rev-parse --verify --quiet --end-of-options "$BASE^{commit}" > /dev/null &&
        ! git diff --quiet "$BASE...HEAD" -- && git diff --quiet "$BASE...HEAD" -- . ':(exclude,glob)deploy/environments/*/images.yaml'; then
        code=false
    fi
    echo "code=$code" | tee -a "${GITHUB_OUTPUT:-/dev/null}"
    ;;
images)
    tool ko
    version=$(git rev-parse --short=8 HEAD)
    [ -z "$(git status --porcelain)" ] || version=$version-dirty
    branch=$(git symbolic-ref --quiet --short HEAD | tr -cs 'A-Za-z0-9_.\n' -)
    # shellcheck disable=SC2086 # IMAGES are several words
    exec go run ./deploy/images/cmd/images ${PULL:+-pull} ${REGISTRY:+-registry "$REGISTRY"} -version "$version" \
        -tag "${TAG:-${branch:+$branch-}$version}" -- ${IMAGES:-$images}
    ;;
changed)
    delivery changed ${GITHUB_OUTPUT:+-github "$GITHUB_OUTPUT"}
    ;;
scan)
    tool grype
    exec tools/scan.sh "$bin/grype" .local/images
    ;;
push)
    needs REGISTRY=ghcr.io/me/pizza
    # shellcheck disable=SC2086 # IMAGES are several words
    go run ./deploy/images/cmd/images -push -registry "$REGISTRY" -- ${IMAGES:-$images}
    for image in ${IMAGES:-$images}; do
        read -r _ _ reference < ".local/images/$image.pushed"
        printf 'repository=%s\ndigest=%s\n' "${reference%@*}" "${reference#*@}" >> "${GITHUB_OUTPUT:-/dev/null}"
    done
    ;;
sign)
    tool cosign
    exec tools/sign.sh "$bin/cosign" .local/images
    ;;
push-charts)
    needs REGISTRY=ghcr.io/me/pizza
    takes TAG 'v(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}' 'a release such as v1.2.3'
    tool helm
    tool cosign
    tools/push-charts.sh "$bin/helm" "$REGISTRY/charts"
    exec tools/sign.sh "$bin/cosign" .local/charts
    ;;
publish)
    tool cosign
    delivery publish
    ;;
attest)
    needs ENV=dev SERVICE=order
    takes_one_of ENV "$(echo "$environments" | sed '$d')"
    if [ -n "${CLUSTER:-}" ]; then # a workflow has the kubeconfig as text, and kubectl reads files
        KUBECONFIG=$(mktemp)
        trap 'rm -f "$KUBECONFIG"' EXIT
        printf '%s\n' "$CLUSTER" > "$KUBECONFIG"
        unset CLUSTER
        export KUBECONFIG
    fi
    tool cosign
    (delivery attest -env "$ENV" -service "$SERVICE" ${REVISION:+-revision "$REVISION"})
    ;;
promote)
    needs TO=stg
    takes_one_of TO "$(echo "$environments" | sed 1d)"
    tool cosign
    delivery promote -to "$TO" -service "${SERVICE:-}"
    ;;
rollback)
    needs ENV=prod
    takes TO 'previous|[0-9a-f]{7,40}' 'previous, or a commit of 7 to 40 hex digits'
    tool cosign
    delivery rollback -env "$ENV" ${TO:+-to "$TO"} -service "${SERVICE:-}"
    ;;
history)
    # Each line has the commit that set it; with ALL=1, all commits that have set one.
    for environment in ${ENV:-$environments}; do
        echo "$environment:"
        set -- HEAD -- "deploy/environments/$environment/images.yaml"
        if [ -n "${ALL:-}" ]; then
            git --no-pager log --date=iso --format='%n%h %ad %an: %s' --patch --unified=0 "$@" |
                grep -vE '^(diff |index |--- |\+\+\+ |@@ |new file |[+-]#)'
        else
            git --no-pager blame --date=iso -L '/^[a-z]/,' "$@"
        fi
    done
    ;;
*)
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
