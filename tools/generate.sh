#!/bin/sh
# generate.sh: generate code from the OpenAPI documents and the SQL, and the
# dashboards, with the tools in BIN.
set -eu
bin=$PWD/$BIN
for service in $SERVICES; do
    (cd "services/$service/api" && "$bin/oapi-codegen" -config oapi-codegen.yaml openapi.yaml)
    (cd "services/$service/internal/postgres" && "$bin/sqlc" generate)
done
(cd services/order/internal/menuclient && "$bin/oapi-codegen" -config oapi-codegen.yaml ../../../menu/api/openapi.yaml)
go run ./deploy/observability/cmd/dashboards helm/pizza/files/dashboards
