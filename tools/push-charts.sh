#!/bin/sh
# push-charts.sh HELM REGISTRY/charts: push the chart pizza, which contains the service
# chart, as an OCI artifact, and record it in .local/charts/pizza.pushed. Its version is
# the release TAG (v1.2.3), or else names the commit that changed it last. A commit gives
# the same bytes everywhere, and a version never gets others: if the registry has it with
# other bytes, nothing is pushed. PLAIN_HTTP=1 is for a registry on this machine.
set -eu
helm=$1
to=$2
plain=${PLAIN_HTTP:+--plain-http}
export TZ=UTC
export HELM_DATA_HOME="$PWD/.local/helm" HELM_CACHE_HOME="$PWD/.local/helm/cache" HELM_CONFIG_HOME="$PWD/.local/helm/config"
out=.local/charts
# All that makes its bytes.
commit=$(git log -1 --abbrev=8 --format=%h -- helm tools/push-charts.sh tools/charts/go.mod go.work)
[ -n "$commit" ] || { echo "helm is in no commit" >&2; exit 1; }
version=0.0.0-g$commit
[ -z "${TAG:-}" ] || version=${TAG#v} # delivery.sh has checked it
rm -rf "$out"
mkdir -p "$out/source" "$out/published"
git archive "$commit" helm | tar -x -C "$out/source" # files have the time of the commit
"$helm" dependency build "$out/source/helm/pizza" > /dev/null
"$helm" package "$out/source/helm/pizza" --version "$version" --app-version "$version" --destination "$out" > /dev/null
touch -t "$(git log -1 --date=format-local:%Y%m%d%H%M.%S --format=%cd "$commit")" "$out/pizza-$version.tgz"
# shellcheck disable=SC2086 # nothing, or one word
if said=$("$helm" pull $plain "oci://$to/pizza" --version "$version" --destination "$out/published" 2>&1); then
    if ! cmp -s "$out/pizza-$version.tgz" "$out/published/pizza-$version.tgz"; then
        echo "$to has pizza $version with other content, which never changes: release the change as another version" >&2
        exit 1
    fi
else
    case $said in
    *"not found"* | *"name unknown"* | *NAME_UNKNOWN* | *404*) ;;
    *) echo "$said" >&2; exit 1 ;;
    esac
    # shellcheck disable=SC2086
    said=$("$helm" push $plain "$out/pizza-$version.tgz" "oci://$to" 2>&1) || { echo "$said" >&2; exit 1; }
fi
digest=$(printf '%s\n' "$said" | sed -n 's/^Digest: *//p')
[ -n "$digest" ] || { echo "$said" >&2; exit 1; }
rm -rf "$out/source" "$out/published"
echo "pizza $version $to/pizza@$digest" | tee "$out/pizza.pushed"
