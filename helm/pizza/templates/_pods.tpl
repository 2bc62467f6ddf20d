{{/*
The settings of a pod: the defaults of the chart, global.pods, and the values of its service or Job. Maps are merged
key by key, and null removes a key. A non-empty list or string replaces the one before. Takes the context and those
values.
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

{{/* The part of the spec that all pods share. Takes the context and the settings of the pod. */}}
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

{{/* Joins lists into one, as text; empty if there are no items. */}}
{{- define "pizza.lists" -}}
{{- $all := list -}}
{{- range . }}{{ $all = concat $all (. | default list) }}{{ end -}}
{{- with $all }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* Fails if an environment variable is set twice. Takes the path of the values, the variables so far, and extraEnv. */}}
{{- define "pizza.refuseEnv" -}}
{{- $where := index . 0 -}}
{{- $settings := index . 1 -}}
{{- range index . 2 -}}
{{- if hasKey $settings .name -}}
{{- fail (printf "%s in extraEnv of %s or global.pods must be left out: another value of the chart sets it" .name $where) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The volume with the CA of the database's certificate, or nothing if the system's CAs apply. */}}
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
