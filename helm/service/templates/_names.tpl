{{/* The name of the service: the alias of this chart in the umbrella chart (login, menu or order). */}}
{{- define "pizza.name" -}}
{{- .Chart.Name -}}
{{- end }}

{{- define "pizza.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pizza.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/*
Selectors have only these two labels and no version, because they are immutable. Pods have no label with the chart
version, because every new chart would replace them all.
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

{{/* The Secret with the credentials of this service. */}}
{{- define "pizza.secretName" -}}
{{- .Values.secrets.existingSecret | default (printf "%s-secrets" (include "pizza.name" .)) -}}
{{- end }}

{{/*
The number of pods if an autoscaler owns it: the current number, but at least the minimum. A field that is removed
from a manifest falls back to 1, so an upgrade that enables autoscaling or a canary would remove pods. Argo CD cannot
use lookup: it starts at the minimum, and then ignores changes by the autoscaler.
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

{{/* The object whose pods an autoscaler counts. */}}
{{- define "pizza.scaleTarget" -}}
{{- if .Values.canary.enabled -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
name: {{ include "pizza.name" . }}-rollout
{{- else -}}
apiVersion: apps/v1
kind: Deployment
name: {{ include "pizza.name" . }}-deploy
{{- end -}}
{{- end }}

{{/* The number of pods of the Deployment. A Rollout scales it to 0 once its own pods serve, and keeps it there. */}}
{{- define "pizza.deploymentReplicas" -}}
{{- if and .Values.canary.enabled (not .Values.canary.ending) -}}
{{- with lookup "apps/v1" "Deployment" .Release.Namespace (printf "%s-deploy" (include "pizza.name" .)) -}}
{{- dig "spec" "replicas" 0 . -}}
{{- end -}}
{{- else -}}
{{- include "pizza.keptReplicas" . -}}
{{- end -}}
{{- end }}
