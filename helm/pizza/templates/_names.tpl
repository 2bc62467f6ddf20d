{{/* Labels of what belongs to no service. Takes the context and the component. */}}
{{- define "pizza.umbrella.labels" -}}
{{- $context := index . 0 -}}
app.kubernetes.io/name: pizza-{{ index . 1 }}
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: pizza
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
helm.sh/chart: {{ $context.Chart.Name }}-{{ $context.Chart.Version }}
{{- end }}

{{/* An image of the umbrella. Takes the context and the values of the image. */}}
{{- define "pizza.umbrella.image" -}}
{{- $context := index . 0 -}}
{{- $values := dict "global" $context.Values.global "image" (index . 1) -}}
{{- include "pizza.image" (dict "Values" $values "Chart" $context.Chart) -}}
{{- end }}

{{- define "pizza.migrationSecretName" -}}
{{- .Values.migration.existingSecret | default (printf "%s-secrets" (include "pizza.migrationName" .)) -}}
{{- end }}
