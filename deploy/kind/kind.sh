#!/usr/bin/env bash
# kind.sh: run the whole system in a kind cluster on this machine, as in the
# environment dev, on http://localhost:PORT (8000). PostgreSQL is a container beside
# the cluster, as it is outside the cluster in production. Running it again upgrades
# the system to the current sources. `kind.sh down` deletes everything.
#
# `kind.sh e2e` creates the same cluster and runs make e2e there, which brings its own
# database and takes ready images from E2E_IMAGES.
set -euo pipefail
cd "$(dirname "$0")/../.."
step=kind
. tools/inputs.sh
takes PORT '[0-9]{1,5}' 'a port, such as 8000'

cluster=pizza
database=pizza-postgres
namespace=pizza-dev
port=${PORT:-8000}
e2e=
if [ "${1:-}" = e2e ]; then
    e2e=yes
    make -s --no-print-directory .local/bin/helm
    PATH=$PWD/.local/bin:$PATH
fi

if [ "${1:-}" = down ]; then
    kind delete cluster --name "$cluster"
    docker rm --force --volumes "$database"
    exit
fi
for program in docker kind kubectl helm go; do
    command -v "$program" >/dev/null || { echo "make kind needs $program in PATH" >&2; exit 1; }
done

if ! kind get clusters | grep -qx "$cluster"; then
    kind create cluster --name "$cluster" --config - <<CONFIG
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraPortMappings:
      - {containerPort: 30080, hostPort: $port, listenAddress: 127.0.0.1}
CONFIG
fi
helm=(helm --kube-context "kind-$cluster")
kubectl=(kubectl --context "kind-$cluster")

# Not --wait: the chart's Service waits for a load balancer that kind has not.
"${helm[@]}" upgrade --install traefik traefik --repo https://traefik.github.io/charts --version 41.6.0 \
    --namespace traefik --create-namespace --set ports.web.nodePort=30080
# For the autoscaler; the kubelets of kind sign their own certificates.
"${helm[@]}" upgrade --install metrics-server metrics-server --repo https://kubernetes-sigs.github.io/metrics-server --version 3.13.0 \
    --namespace kube-system --set 'args={--kubelet-insecure-tls}'
"${kubectl[@]}" --namespace traefik rollout status deployment/traefik --timeout 5m

url=http://localhost:$(docker port "$cluster-control-plane" 30080/tcp | head -n 1 | sed 's/.*://')
mkdir -p .local
kind get kubeconfig --name "$cluster" > .local/kind.kubeconfig
gateway=$(docker network inspect kind --format '{{range .IPAM.Config}}{{println .Gateway}}{{end}}' | grep -F . | head -n 1)
if [ -n "$e2e" ]; then
    KUBECONFIG="$PWD/.local/kind.kubeconfig" E2E_HOST=$gateway E2E_INGRESS=$url \
        E2E_LOAD_IMAGE="kind load image-archive --name $cluster" E2E_NODE_EXEC="docker exec $cluster-control-plane" exec make e2e
fi

# In the network of the nodes, so that pods reach it.
docker start "$database" 2>/dev/null || docker run --detach --name "$database" --network kind --publish 127.0.0.1::5432 \
    --env POSTGRES_PASSWORD=postgres --env POSTGRES_DB=pizza postgres:17-bookworm
# By TCP: while the image prepares the data, the server listens on its socket alone.
for _ in $(seq 60); do
    docker exec "$database" pg_isready --quiet --host 127.0.0.1 --username postgres && break
    sleep 1
done
address=$(docker inspect --format '{{.NetworkSettings.Networks.kind.IPAddress}}' "$database")
# The passwords are those of deploy/environments/dev/values.yaml.
DATABASE_URL="postgres://postgres:postgres@$(docker port "$database" 5432/tcp | head -n 1)/pizza?sslmode=disable" \
    MIGRATOR_DB_PASSWORD=dev-migrator LOGIN_DB_PASSWORD=dev-login MENU_DB_PASSWORD=dev-menu ORDER_DB_PASSWORD=dev-order \
    go run ./migrations/cmd/migrate roles

# A new tag each time, so that pods are replaced though nothing was committed.
tag=kind-$(date +%Y%m%d%H%M%S)
registry=registry.example.com/pizza # nobody pulls from it: nodes have the images
PULL=1 TAG=$tag REGISTRY=$registry IMAGES= tools/delivery.sh images
for image in login menu order migrate; do
    tar --create --file ".local/images/$image.tar" --directory ".local/images/$image" .
    kind load image-archive ".local/images/$image.tar" --name "$cluster"
done

"${helm[@]}" dependency build helm/pizza >/dev/null
"${helm[@]}" upgrade --install pizza helm/pizza --namespace "$namespace" --create-namespace --wait --timeout 5m \
    --values deploy/environments/dev/values.yaml --values deploy/kind/values.yaml \
    --set global.image.registry="$registry" --set global.image.tag="$tag" --set global.postgresql.host="$address"

cat <<SAY

The menu:        curl $url/api/menu/
Place an order:  helm --kube-context kind-$cluster --namespace $namespace test pizza
Delete it:       deploy/kind/kind.sh down
Break it (on Linux, where pods reach this machine):
  KUBECONFIG="$PWD/.local/kind.kubeconfig" E2E_HOST=$gateway E2E_INGRESS=$url \\
  E2E_LOAD_IMAGE='kind load image-archive --name $cluster' E2E_NODE_EXEC='docker exec $cluster-control-plane' make e2e
SAY
