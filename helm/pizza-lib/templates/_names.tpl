{{/* The name of the service, which is that of its chart: login, menu or order. */}}
{{- define "pizza.name" -}}
{{- .Chart.Name -}}
{{- end }}

{{/* An object of a service, unless another part alone is wanted. Takes the context and the kind of object. */}}
{{- define "pizza.part" -}}
{{- $context := index . 0 -}}
{{- if has $context.Values.global.only (list "" (include "pizza.name" $context)) -}}
{{- include (printf "pizza.%s" (index . 1)) $context -}}
{{- end -}}
{{- end }}

{{- define "pizza.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pizza.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Selectors hold the two of them and never a version: they cannot be changed later. */}}
{{- define "pizza.labels" -}}
{{ include "pizza.selectorLabels" . }}
app.kubernetes.io/version: {{ include "pizza.tag" . | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: service
app.kubernetes.io/part-of: pizza
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "pizza.tag" -}}
{{- .Values.image.tag | default .Values.global.image.tag | default .Chart.AppVersion -}}
{{- end }}

{{/* A digest says exactly what runs; the tag beside it is for people. */}}
{{- define "pizza.image" -}}
{{- $name := printf "%s/%s:%s" (trimSuffix "/" .Values.global.image.registry) .Values.image.repository (include "pizza.tag" .) -}}
{{- with .Values.image.digest }}{{ $name = printf "%s@%s" $name . }}{{ end -}}
{{- $name -}}
{{- end }}

{{- define "pizza.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "pizza.name" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* The Secret with this service's own credentials. */}}
{{- define "pizza.secretName" -}}
{{- .Values.secrets.existingSecret | default (printf "%s-secrets" (include "pizza.name" .)) -}}
{{- end }}

{{/* The Secret with the keys of access tokens, which services share. */}}
{{- define "pizza.jwtSecretName" -}}
{{- .Values.global.jwt.existingSecret | default "jwt-keys" -}}
{{- end }}

{{/* Plain values of secrets are for machines that nobody depends on. */}}
{{- define "pizza.requireDev" -}}
{{- $context := index . 0 -}}
{{- $what := index . 1 -}}
{{- if ne $context.Values.global.environment "dev" -}}
{{- fail (printf "%s must not be in values where global.environment is %q: name an existing Secret instead" $what $context.Values.global.environment) -}}
{{- end -}}
{{- end }}
