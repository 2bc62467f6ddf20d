{{/*
Maximum database connections of a service: for each pod its pool, plus the connections
that publish and receive events. The pods count twice: during an update, replaced pods
keep their connections until they have drained, and Kubernetes does not wait for that
before it starts new ones.
*/}}
{{- define "pizza.connections" -}}
{{- $pods := ternary .autoscaling.maxReplicas .replicas .autoscaling.enabled | int -}}
{{- mul $pods 2 (add .database.maxConnections .database.eventConnections) -}}
{{- end }}

{{- define "pizza.connectionsInWords" -}}
{{- $pods := ternary .autoscaling.maxReplicas .replicas .autoscaling.enabled | int -}}
{{- printf "%d pods x 2 while updating x (%d in the pool + %d for events) = %s" $pods (int .database.maxConnections) (int .database.eventConnections) (include "pizza.connections" .) -}}
{{- end }}

{{/*
Fails, with the arithmetic, if the values could exhaust the connections of the database.
Takes a list: the context, and a dict from service names to values.
*/}}
{{- define "pizza.checkConnections" -}}
{{- $global := (index . 0).Values.global -}}
{{- $limit := int $global.postgresql.maxConnections -}}
{{- $reserved := int $global.postgresql.reservedConnections -}}
{{- $total := $reserved -}}
{{- $words := list (printf "  %d reserved for operators and the migration (global.postgresql.reservedConnections)" $reserved) -}}
{{- range $name, $values := index . 1 -}}
{{- $total = add $total (include "pizza.connections" $values | int) -}}
{{- $words = append $words (printf "  %s: %s" $name (include "pizza.connectionsInWords" $values)) -}}
{{- end -}}
{{- if gt (int $total) $limit -}}
{{- fail (printf "\n\nthe services could open %d connections to the database, which has %d (global.postgresql.maxConnections):\n%s\n\nlower autoscaling.maxReplicas, replicas or database.maxConnections of a service, or raise the database's limit first\n" (int $total) $limit (join "\n" $words)) -}}
{{- end -}}
{{- end }}
