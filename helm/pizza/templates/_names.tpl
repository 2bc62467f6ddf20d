{{/* The services in this release, such as "login-menu". */}}
{{- define "pizza.enabledServices" -}}
{{- $names := list -}}
{{- range list "login" "menu" "order" -}}
{{- if (index $.Values .).enabled }}{{ $names = append $names . }}{{ end -}}
{{- end -}}
{{- join "-" $names -}}
{{- end }}

{{/* Labels of the shared objects. Takes the context and the component. */}}
{{- define "pizza.umbrella.podLabels" -}}
{{- $context := index . 0 -}}
app.kubernetes.io/name: pizza-{{ index . 1 }}
app.kubernetes.io/instance: {{ $context.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: pizza
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
{{- end }}

{{- define "pizza.umbrella.labels" -}}
{{- $context := index . 0 -}}
{{ include "pizza.umbrella.podLabels" . }}
helm.sh/chart: {{ $context.Chart.Name }}-{{ $context.Chart.Version }}
{{- end }}

{{/*
Labels and annotations of an object. Takes the context, its labels as text, its annotations, and additional
labels. Earlier ones take precedence.
*/}}
{{- define "pizza.metadata" -}}
{{- $global := (index . 0).Values.global -}}
{{- $labels := dict -}}
{{- if gt (len .) 3 }}{{ $labels = index . 3 | default dict }}{{ end -}}
{{- $annotations := dict -}}
{{- if gt (len .) 2 }}{{ $annotations = index . 2 | default dict }}{{ end -}}
namespace: {{ (index . 0).Release.Namespace }}
{{ include "pizza.marks" (list (index . 1) $annotations
  (merge (dict) $labels ($global.commonLabels | default dict)) ($global.commonAnnotations | default dict)) }}
{{- end }}

{{/* Takes labels as text and annotations, and additional ones of both. */}}
{{- define "pizza.marks" -}}
labels:
  {{- merge (index . 0 | fromYaml) (index . 2) | toYaml | nindent 2 }}
{{- with merge (dict) (index . 1) (index . 3) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
The Service that the Ingress and HTTPRoute point to. A Service that is itself reachable from outside the cluster is a
second one, with only the public port. Takes the name and the values of the service.
*/}}
{{- define "pizza.publicService" -}}
{{- index . 0 }}-{{ if has (((index . 1).service).type | default "ClusterIP") (list "ClusterIP") }}svc{{ else }}public{{ end -}}
{{- end }}

{{/* An image of the umbrella chart. Takes the context and the values of the image. */}}
{{- define "pizza.umbrella.image" -}}
{{- $context := index . 0 -}}
{{- $values := dict "global" $context.Values.global "image" (index . 1) -}}
{{- include "pizza.image" (dict "Values" $values "Chart" $context.Chart) -}}
{{- end }}

{{- define "pizza.migrationSecretName" -}}
{{- .Values.migration.existingSecret | default (printf "%s-secrets" (include "pizza.migrationName" .)) -}}
{{- end }}

{{- define "pizza.tag" -}}
{{- .Values.image.tag | default .Values.global.image.tag | default .Chart.AppVersion -}}
{{- end }}

{{/* The digest identifies exactly what runs; the tag is for people. */}}
{{- define "pizza.image" -}}
{{- $name := printf "%s/%s:%s" (trimSuffix "/" .Values.global.image.registry) .Values.image.repository (include "pizza.tag" .) -}}
{{- with .Values.image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end -}}
{{- $name -}}
{{- end }}

{{/* The Secret with the keys of access tokens, shared by the services. */}}
{{- define "pizza.jwtSecretName" -}}
{{- .Values.global.jwt.existingSecret | default "jwt-keys" -}}
{{- end }}

{{/* Secrets as plain values are only for environments without users. */}}
{{- define "pizza.requireDev" -}}
{{- $context := index . 0 -}}
{{- $what := index . 1 -}}
{{- if ne $context.Values.global.environment "dev" -}}
{{- fail (printf "%s must not be in values where global.environment is %q: name an existing Secret instead" $what $context.Values.global.environment) -}}
{{- end -}}
{{- end }}

{{/*
Annotations of the Secrets that the chart creates. They outlive the values that create them, because existingSecret can
name them: an upgrade by Helm and a sync by Argo CD would otherwise delete what pods need to start.
*/}}
{{- define "pizza.kept" -}}
helm.sh/resource-policy: keep
argocd.argoproj.io/sync-options: Prune=false
argocd.argoproj.io/compare-options: IgnoreExtraneous
{{- end }}
