{{/*
What a pod takes: the defaults of the chart, global.pods, and the values of its service or Job. A map is merged key by
key, where null leaves a key out; a list or a text replaces the one before when it is not empty. Takes the context and
those values.
*/}}
{{- define "pizza.pod" -}}
{{- $default := dict
  "podSecurityContext" (dict
    "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532
    "seccompProfile" (dict "type" "RuntimeDefault"))
  "securityContext" (dict
    "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL"))) -}}
{{- $pod := dict "podLabels" dict "podAnnotations" dict -}}
{{- range $values := list $default ((index . 0).Values.global.pods | default dict) (index . 1) -}}
{{- range $name := list
  "podLabels" "podAnnotations" "podSecurityContext" "securityContext" "priorityClassName" "runtimeClassName"
  "nodeSelector" "tolerations" "affinity" "dnsPolicy" "dnsConfig" "hostAliases"
  "initContainers" "extraVolumes" "extraVolumeMounts" "extraEnv" "extraEnvFrom" -}}
{{- with get $values $name -}}
{{- if kindIs "map" . -}}
{{- $merged := dict -}}
{{- range $map := list (get $pod $name | default dict) . -}}
{{- range $key, $value := $map -}}
{{- if kindIs "invalid" $value }}{{ $_ := unset $merged $key }}{{ else }}{{ $_ := set $merged $key $value }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $pod $name $merged -}}
{{- else -}}
{{- $_ := set $pod $name . -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $pod -}}
{{- end }}

{{/* What the specs of all pods have. Takes the context, and what the pod takes. */}}
{{- define "pizza.podSpec" -}}
{{- $pod := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with (index . 0).Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $pod.podSecurityContext | nindent 2 }}
{{- with pick $pod "priorityClassName" "runtimeClassName" "nodeSelector" "tolerations" "affinity" "dnsPolicy" "dnsConfig" "hostAliases" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Lists in one, as text, or nothing. */}}
{{- define "pizza.lists" -}}
{{- $all := list -}}
{{- range . }}{{ $all = concat $all (. | default list) }}{{ end -}}
{{- with $all }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* Refuses to set an environment variable again. Takes the name of the values, what is set, and extraEnv. */}}
{{- define "pizza.refuseEnv" -}}
{{- $where := index . 0 -}}
{{- $settings := index . 1 -}}
{{- range index . 2 -}}
{{- if hasKey $settings .name -}}
{{- fail (printf "%s in extraEnv of %s or global.pods must be left out: another value of the chart sets it" .name $where) -}}
{{- end -}}
{{- end -}}
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
