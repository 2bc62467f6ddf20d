#!/bin/sh
# push-charts.sh HELM REGISTRY/charts: push the chart pizza, which contains the service
# chart, as an OCI artifact, unless the registry has its version: a published version is
# never replaced. PLAIN_HTTP=1 is for a registry on this machine.
set -eu
helm=$1
to=oci://$2
plain=${PLAIN_HTTP:+--plain-http}
export HELM_DATA_HOME="$PWD/.local/helm" HELM_CACHE_HOME="$PWD/.local/helm/cache" HELM_CONFIG_HOME="$PWD/.local/helm/config"
out=.local/packages
rm -rf "$out"
mkdir -p "$out"
version=$(sed -n 's/^version: *//p' helm/pizza/Chart.yaml)
# shellcheck disable=SC2086 # nothing, or one word
if found=$("$helm" show chart $plain "$to/pizza" --version "$version" 2>&1); then
    echo "pizza $version is there"
    exit
fi
case $found in
*"not found"* | *"name unknown"* | *"NAME_UNKNOWN"* | *404*) ;;
*) echo "$found" >&2; exit 1 ;;
esac
"$helm" dependency build helm/pizza > /dev/null
"$helm" package helm/pizza --destination "$out" > /dev/null
# shellcheck disable=SC2086
"$helm" push $plain "$out/pizza-$version.tgz" "$to"
