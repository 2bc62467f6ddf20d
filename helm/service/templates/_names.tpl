{{/* The name of the service, which is the alias of this chart in the umbrella: login, menu or order. */}}
{{- define "pizza.name" -}}
{{- .Chart.Name -}}
{{- end }}

{{- define "pizza.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pizza.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
Selectors hold the two of them and never a version: they cannot be changed later. Pods do without the version of
the chart: they would all be replaced for every new one.
*/}}
{{- define "pizza.podLabels" -}}
{{ include "pizza.selectorLabels" . }}
app.kubernetes.io/version: {{ include "pizza.tag" . | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: service
app.kubernetes.io/part-of: pizza
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "pizza.labels" -}}
{{ include "pizza.podLabels" . }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
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
