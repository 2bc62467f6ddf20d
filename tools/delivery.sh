#!/bin/sh
# delivery.sh STEP: run one step of delivery: code, images, changed, scan, push, sign,
# push-charts, publish, attest, promote, rollback, history, changelog.
#
# Values are environment variables, which the programs check: IMAGES, TAG, REGISTRY,
# BASE, ENV, FROM, TO, SERVICE, CHECKS, REVISION, RANGE, and PULL=1, JSON=1, MARKDOWN=1
# and ALL=1. No value becomes part of a command line that a shell or make parses.
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/.local/bin
step=${1:-}
images="login menu order migrate"

needs() { # NAME=EXAMPLE...: report all missing values before anything is built
    missing=
    for value in "$@"; do
        eval "[ -n \"\${${value%%=*}:-}\" ]" || missing="$missing $value"
    done
    [ -z "$missing" ] || { echo "$step needs$missing" >&2; exit 2; }
}
tool() { make -s --no-print-directory ".local/bin/$1" >&2; } # standard output is the step's alone
delivery() { # COMMAND [FLAG...]
    command=$1
    shift
    exec go run ./deploy/delivery/cmd/delivery "$command" ${JSON:+-json} "$@"
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
    delivery changed ${ENV:+-env "$ENV"} ${GITHUB_OUTPUT:+-github "$GITHUB_OUTPUT"}
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
    tool helm
    exec tools/push-charts.sh "$bin/helm" "$REGISTRY/charts"
    ;;
publish)
    tool cosign
    delivery publish ${MARKDOWN:+-markdown}
    ;;
attest)
    needs ENV=dev CHECKS=sync,smoke
    tool cosign
    delivery attest -env "$ENV" -checks "$CHECKS" -service "${SERVICE:-}" ${REVISION:+-revision "$REVISION"}
    ;;
promote)
    needs FROM=dev TO=stg
    tool cosign
    delivery promote ${MARKDOWN:+-markdown} -from "$FROM" -to "$TO" -service "${SERVICE:-}"
    ;;
rollback)
    needs ENV=prod
    tool cosign
    delivery rollback ${MARKDOWN:+-markdown} -env "$ENV" ${TO:+-to "$TO"} -service "${SERVICE:-}"
    ;;
history)
    delivery history -env "${ENV:-}" ${ALL:+-all}
    ;;
changelog)
    delivery changelog ${RANGE:+-range "$RANGE"}
    ;;
*)
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
    ;;
esac
