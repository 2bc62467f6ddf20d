#!/bin/sh
# adopt.sh: make a fork yours. It writes ORG, REGISTRY, DOMAIN and DB_HOST to where this
# repository has placeholders, says what is left to decide, and fails if a placeholder is
# left. Running it again changes nothing. The module path example.com/pizza stays: nobody
# downloads these modules, so it need not be an address, and neither are names below it.
set -eu
cd "$(dirname "$0")/.."
step=adopt
. tools/inputs.sh

needs ORG=acme REGISTRY=ghcr.io/acme/pizza DOMAIN=pizza.acme.com DB_HOST=postgres.ENV.acme.internal
label='[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
takes ORG '[A-Za-z0-9](-?[A-Za-z0-9]){0,38}' 'an organization of GitHub, such as acme'
takes REGISTRY "$label(\.$label)*(:[0-9]{1,5})?(/[a-z0-9]+([._-][a-z0-9]+)*){1,9}" \
    'a host and a path, such as ghcr.io/acme/pizza'
takes DOMAIN "($label\.)+[a-z]{2,63}" 'the host name of prod, such as pizza.acme.com; before it comes the name of each other environment'
takes DB_HOST "([a-z0-9-]+\.)*[a-z0-9-]*ENV[a-z0-9-]*(\.$label)+" \
    'a host name with ENV where the environments differ, such as postgres.ENV.acme.internal'
case /$ORG/$REGISTRY/$DOMAIN/$DB_HOST/ in
*[/.]example[/.]*) echo "adopt: example is the placeholder, and no name of yours" >&2; exit 2 ;;
esac
mail=$DOMAIN
case ${DOMAIN#*.} in *.*) mail=${DOMAIN#*.} ;; esac

files() { git ls-files -- .github deploy docs helm ':!deploy/workflows/adopt_test.go'; }
mkdir -p .local
host=${REGISTRY%%/*}
files | while read -r file; do
    set -- -e "s#github(\\\\*)\.com/example/pizza#github\1.com/$ORG/pizza#g" \
        -e "s#/repos/example/pizza#/repos/$ORG/pizza#g" -e "s#ghcr\.io/example/pizza#$REGISTRY#g" \
        -e "s#@example/#@$ORG/#g" -e "s#example:(developers|on-call)#$ORG:\1#g" \
        -e "s#security@example\.com#security@$mail#g"
    case $file in
    helm/pizza/values.yaml | helm/pizza/README.md)
        set -- "$@" -e "s#https://example\.com/pizza/(deploy/observability)#https://github.com/$ORG/pizza/blob/main/\1#"
        ;;
    esac
    case $file in
    .github/workflows/*)
        [ "$host" = ghcr.io ] || set -- "$@" -e "s#\{registry: ghcr\.io, username: .*\}\$#{registry: \"$host\", \
username: \"\${{ secrets.REGISTRY_USERNAME }}\", password: \"\${{ secrets.REGISTRY_PASSWORD }}\"}#"
        ;;
    docs/* | helm/*) set -- "$@" -e "s#registry\.example\.com/pizza#$REGISTRY#g" -e "s#pizza\.example\.com#$DOMAIN#g" ;;
    deploy/environments/*/*)
        environment=${file#deploy/environments/}
        environment=${environment%%/*}
        set -- "$@" -e "s#pizza\.example\.com#$DOMAIN#g" \
            -e "s#postgres\.$environment\.example\.internal#${DB_HOST%ENV*}$environment${DB_HOST##*ENV}#g"
        ;;
    esac
    sed -E "$@" "$file" > .local/adopted
    cmp -s .local/adopted "$file" || cat .local/adopted > "$file" # its mode stays
done
rm -f .local/adopted
gofmt -w deploy # names have other lengths

placeholder='(github\\*\.com|ghcr\.io|repos)/example/|registry\.example\.com/|@example/|example:(developers|on-call)'
placeholder="$placeholder|postgres\.[a-z]+\.example\.|security@example\.|runbooks: https://example\."
inside='^deploy/(e2e|images|kind)/' # names that leave no machine
if files | grep -vE "$inside" | xargs grep -nE "$placeholder" ||
    git ls-files -- deploy/environments helm | xargs grep -nF pizza.example.com; then
    echo "adopt: these placeholders are left: write what is yours there" >&2
    exit 1
fi
for wanted in "deploy/argocd/values.yaml=github.com/$ORG/pizza" "deploy/environments/prod/values.yaml=$REGISTRY" \
    "deploy/environments/prod/values.yaml=$DOMAIN" "deploy/environments/prod/values.yaml=${DB_HOST%ENV*}prod${DB_HOST##*ENV}"; do
    file=${wanted%%=*}
    grep -qF "${wanted#*=}" "$file" && continue
    echo "adopt: $file does not have ${wanted#*=}: it was adopted with another name, to be changed by hand" >&2
    exit 1
done
cat << LEFT
This repository is $ORG's. Look at it (git diff), and decide what no script can:
  deploy/environments/*/values.yaml   addresses of the database (networkPolicy), its connections, the Ingress
  deploy/environments/environments.yaml  the cluster of each environment
  deploy/argocd/values.yaml           groups of people; templates/projects.yaml has the sync windows
  .github/CODEOWNERS                  teams of $ORG
LEFT
[ "$host" = ghcr.io ] || echo "  secrets of the repository           REGISTRY_USERNAME and REGISTRY_PASSWORD of $host"
