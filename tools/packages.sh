#!/bin/sh
# packages.sh: install the test dependencies that come from Debian or Ubuntu:
# PostgreSQL, curl, PgBouncer, and for the Dockerfiles buildah and a static busybox.
set -eu
missing=
ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || command -v initdb > /dev/null || missing=postgresql
command -v curl > /dev/null || missing="$missing curl"
command -v pgbouncer > /dev/null || [ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
command -v buildah > /dev/null || missing="$missing buildah"
command -v busybox > /dev/null || missing="$missing busybox-static"
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update
# shellcheck disable=SC2086 # several words
$sudo apt-get install -y --no-install-recommends $missing
