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

{{/*
The number of pods where an autoscaler owns it: what runs now, and no fewer than its minimum. A field that leaves a
manifest goes back to 1, so an upgrade that turns autoscaling or a canary on would take pods away. Argo CD cannot look
things up: it starts at the minimum, and then ignores what the autoscaler has set.
*/}}
{{- define "pizza.keptReplicas" -}}
{{- if .Values.autoscaling.enabled -}}
{{- $deployment := lookup "apps/v1" "Deployment" .Release.Namespace (printf "%s-deploy" (include "pizza.name" .)) -}}
{{- $rollout := dict -}}
{{- if .Capabilities.APIVersions.Has "argoproj.io/v1alpha1" -}}
{{- $rollout = lookup "argoproj.io/v1alpha1" "Rollout" .Release.Namespace (printf "%s-rollout" (include "pizza.name" .)) -}}
{{- end -}}
{{- max (int .Values.autoscaling.minReplicas) (dig "spec" "replicas" 0 $deployment | int) (dig "spec" "replicas" 0 $rollout | int) -}}
{{- else -}}
{{- .Values.replicas -}}
{{- end -}}
{{- end }}

{{/* The number of pods of the Deployment itself. A Rollout takes them away when its own serve, and keeps it that way. */}}
{{- define "pizza.deploymentReplicas" -}}
{{- if and .Values.canary.enabled (not .Values.canary.ending) -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (printf "%s-deploy" (include "pizza.name" .)) -}}
{{- dig "spec" "replicas" 0 . -}}
{{- end -}}
{{- else -}}
{{- include "pizza.keptReplicas" . -}}
{{- end -}}
{{- end }}
