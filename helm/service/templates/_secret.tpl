{{/* The credentials of a service from plain values, for development only. */}}
{{- define "pizza.secret" -}}
{{- include "pizza.requireDev" (list . (printf "%s.secrets" (include "pizza.name" .))) -}}
apiVersion: v1
kind: Secret
metadata:
  name: {{ include "pizza.secretName" . }}
  {{- include "pizza.metadata" (list . (include "pizza.labels" .) (include "pizza.kept" . | fromYaml)) | nindent 2 }}
type: Opaque
stringData:
  DB_PASSWORD: {{ required (printf "%[1]s.secrets.existingSecret is required (or, in dev, %[1]s.secrets.values.DB_PASSWORD)" (include "pizza.name" .)) (get .Values.secrets.values "DB_PASSWORD") | quote }}
  {{- range $name, $value := omit .Values.secrets.values "DB_PASSWORD" }}
  {{ $name }}: {{ $value | quote }}
  {{- end }}
{{- end }}
