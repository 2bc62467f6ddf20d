{{/*
A Secret that the External Secrets operator creates. Takes the context, the name, the labels as text, the annotations,
the path of its values, these values, and the required keys.
*/}}
{{- define "pizza.externalSecret" -}}
{{- $where := index . 4 -}}
{{- $from := index . 5 -}}
{{- if not $from.secretStoreRef -}}
{{ fail (printf "%s.secretStoreRef is required: the store, such as {kind: ClusterSecretStore, name: vault}" $where) }}
{{- end -}}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ index . 1 }}
  {{- include "pizza.metadata" (list (index . 0) (index . 2) (index . 3)) | nindent 2 }}
spec:
  refreshInterval: {{ $from.refreshInterval }}
  secretStoreRef:
    {{- toYaml $from.secretStoreRef | nindent 4 }}
  target:
    name: {{ index . 1 }}
  {{- if $from.data }}
  data:
    {{- range index . 6 }}
    {{- if not (hasKey $from.data .) }}{{ fail (printf "%s.data.%s is required: the chart reads that key" $where .) }}{{ end }}
    {{- end }}
    {{- range $key, $ref := $from.data }}
    - secretKey: {{ $key }}
      remoteRef:
        {{- if not (or $ref.key $from.key) }}{{ fail (printf "%s.data.%s.key is required, or %s.key for all" $where $key $where) }}{{ end }}
        {{- merge (dict) $ref (dict "key" $from.key) | toYaml | nindent 8 }}
    {{- end }}
  {{- else }}
  dataFrom:
    - extract:
        key: {{ required (printf "%s.key is required: the secret in the store whose keys are those of the Secret, or %s.data" $where $where) $from.key }}
  {{- end }}
{{- end }}
