{{- define "pizza.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "pizza.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The volume with the authorities that the database's certificate is checked against, or nothing: those of the system. */}}
{{- define "pizza.databaseCA" -}}
{{- with .Values.global.postgresql.ca -}}
{{- if and .secret .configMap -}}
{{- fail "global.postgresql.ca.secret and global.postgresql.ca.configMap exclude each other" -}}
{{- end -}}
{{- if or .secret .configMap -}}
- name: database-ca
  {{- if .secret }}
  secret:
    secretName: {{ .secret }}
  {{- else }}
  configMap:
    name: {{ .configMap }}
  {{- end }}
    items: [{key: {{ .key }}, path: ca.crt}]
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pizza.databaseCAMount" -}}
{{- if include "pizza.databaseCA" . -}}
- name: database-ca
  mountPath: /etc/pizza/database
  readOnly: true
{{- end -}}
{{- end }}
