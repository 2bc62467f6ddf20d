{{/* The credentials of a service from plain values: for development alone. */}}
{{- define "pizza.secret" -}}
{{- include "pizza.requireDev" (list . (printf "%s.secrets" (include "pizza.name" .))) -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "pizza.secretName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
type: Opaque
stringData:
  DB_PASSWORD: {{ required (printf "%[1]s.secrets.existingSecret is required (or, in dev, %[1]s.secrets.values.DB_PASSWORD)" (include "pizza.name" .)) (get .Values.secrets.values "DB_PASSWORD") | quote }}
  {{- range $name, $value := omit .Values.secrets.values "DB_PASSWORD" }}
  {{ $name }}: {{ $value | quote }}
  {{- end }}
{{- end }}

{{/* The same from a store of secrets, by the External Secrets operator. */}}
{{- define "pizza.externalSecret" -}}
{{- $from := .Values.secrets.externalSecret -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ include "pizza.secretName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  refreshInterval: {{ $from.refreshInterval }}
  secretStoreRef:
    {{- toYaml $from.secretStoreRef | nindent 4 }}
  target:
    name: {{ include "pizza.secretName" . }}
  dataFrom:
    - extract:
        key: {{ required "secrets.externalSecret.key is required" $from.key }}
{{- end }}

{{- define "pizza.secrets" -}}
{{- if .Values.secrets.externalSecret.enabled -}}
{{ include "pizza.externalSecret" . }}
{{- else if not .Values.secrets.existingSecret -}}
{{ include "pizza.secret" . }}
{{- end -}}
{{- end }}
