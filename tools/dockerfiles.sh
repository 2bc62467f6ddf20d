#!/bin/bash
# dockerfiles.sh: build the Dockerfiles with buildah, without Docker or root, and compare each image with that of
# make images: the same program, byte for byte, and the same configuration. Run it, too. Stand-ins with the compiler
# and the modules of this machine replace the base images; PULL=1 uses the real ones.
set -euo pipefail
cd "$(dirname "$0")/.."
{ command -v buildah && command -v busybox; } > /dev/null || { echo "dockerfiles needs buildah and busybox: tools/packages.sh" >&2; exit 1; }
IMAGES='' tools/delivery.sh images

work=$PWD/.local/dockerfiles
busybox=$(command -v busybox)
mkdir -p "$work/tmp"
export TMPDIR=$work/tmp
# One folder, and nothing that needs a kind of file system: it works in a container, too.
buildah() { command buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"; }
run() { buildah run --isolation chroot --volume "$busybox:/busybox:ro" --volume "$work/said:/said" "$@"; }
# Files in the storage may belong to other users: only buildah can delete them.
trap 'buildah rm --all > /dev/null; buildah rmi --all --force > /dev/null' EXIT

arguments=(--isolation chroot)
if [ -z "${PULL:-}" ]; then
    cp "$busybox" "$work/busybox"
    buildah build --quiet --isolation chroot --tag stand-in/golang --file - "$work" > /dev/null << 'DOCKERFILE'
FROM scratch
COPY busybox /bin/sh
ENV PATH=/usr/local/go/bin:/bin HOME=/root GOPATH=/go GOTOOLCHAIN=local
WORKDIR /tmp
WORKDIR /go
DOCKERFILE
    buildah build --quiet --isolation chroot --tag stand-in/distroless --file - "$work" > /dev/null << 'DOCKERFILE'
FROM scratch
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532
WORKDIR /home/nonroot
DOCKERFILE
    for base in $(sed -nE 's/^FROM (--platform=\S+ )?((golang|gcr\.io\/distroless)\S+).*/\2/p' migrations/Dockerfile); do
        case $base in golang*) instead=golang ;; *) instead=distroless ;; esac
        arguments+=(--build-context "$base=docker-image://localhost/stand-in/$instead")
    done
    arguments+=(--pull-never --volume "$(go env GOROOT):/usr/local/go:ro" --volume "$(go env GOMODCACHE)/cache/download:/proxy:ro"
        --build-arg GOPROXY=file:///proxy --build-arg GOFLAGS=-modcacherw)
fi

config() { # IMAGE: what nodes, charts and readers of labels see of it
    buildah inspect --type image --format '{{with .OCIv1}}{{.OS}} {{.Architecture}}
user {{.Config.User}}
entry point {{.Config.Entrypoint}} {{.Config.Cmd}}
in {{.Config.WorkingDir}}
{{range .Config.Env}}{{println .}}{{end}}{{range $name, $value := .Config.Labels}}{{println $name $value}}{{end}}{{end}}' "$1" |
        grep -v -e ^io.buildah -e ^KO_DATA_PATH= -e ^PATH=
}
for dockerfile in services/login/Dockerfile services/menu/Dockerfile services/order/Dockerfile migrations/Dockerfile; do
    began=$SECONDS
    name=$(sed -nE 's|^ENTRYPOINT \["/ko-app/(.*)"\]|\1|p' "$dockerfile")
    want=$(cd .local/images && buildah pull --quiet "oci:$name") # which names it by its path
    buildah build "${arguments[@]}" --tag "pizza/$name" --file "$dockerfile" . > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    config "$want" > "$work/want"
    config "localhost/pizza/$name" > "$work/got"
    diff "$work/want" "$work/got" || { echo "$dockerfile: not configured like make images (<)" >&2; exit 1; }
    container=$(buildah from --pull-never "localhost/pizza/$name")
    buildah copy --quiet --from "$want" "$container" "/ko-app/$name" /want > /dev/null
    : > "$work/said" && chmod 666 "$work/said"
    run "$container" -- /busybox cmp "/ko-app/$name" /want || { echo "$dockerfile: not the program of make images" >&2; exit 1; }
    # Without settings every program says which it misses, and stops. buildah may lose what is said at the very end.
    if run "$container" -- /busybox sh -c "exec /ko-app/$name > /said 2>&1" 2> "$work/log" || ! grep -q "^$name: " "$work/said"; then
        echo "$dockerfile: without settings it said" >&2
        cat "$work/said" >&2
        exit 1
    fi
    printf '%-26s the image of make images, and it runs (%d s)\n' "$dockerfile" $((SECONDS - began))
done
