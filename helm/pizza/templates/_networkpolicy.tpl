{{/* Egress to DNS. Without peers there is no rule, because an empty list would allow every destination. */}}
{{- define "pizza.dnsEgress" -}}
{{- $dns := .Values.global.networkPolicy.dns -}}
{{- with $dns.peers -}}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- range $protocol := list "UDP" "TCP" }}
    {{- range $dns.ports }}
    - port: {{ . }}
      protocol: {{ $protocol }}
    {{- end }}
    {{- end }}
{{- end -}}
{{- end }}

{{/* Egress to DNS, the database, and other destinations in the values. */}}
{{- define "pizza.egress" -}}
{{ include "pizza.dnsEgress" . }}
- to:
    {{- include "pizza.databasePeers" . | nindent 4 }}
  ports:
    - port: {{ .Values.global.postgresql.port }}
{{- with .Values.global.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The location of the database: from the values, or its hosts if they are IP addresses. */}}
{{- define "pizza.databasePeers" -}}
{{- $database := .Values.global.networkPolicy.database -}}
{{- $cidrs := $database.cidrs -}}
{{- if not (or $cidrs $database.peers) -}}
{{- range $host := compact (list .Values.global.postgresql.host (.Values.config | default dict).DB_READ_HOST) -}}
{{- if regexMatch `^([0-9]{1,3}\.){3}[0-9]{1,3}$` $host -}}
{{- $cidrs = append $cidrs (printf "%s/32" $host) -}}
{{- else if regexMatch `^[0-9a-fA-F:]*:[0-9a-fA-F:]*$` $host -}}
{{- $cidrs = append $cidrs (printf "%s/128" $host) -}}
{{- else -}}
{{- fail (printf "\n\nglobal.networkPolicy.database.cidrs is required: the addresses of the database, for the network policies.\n%q is a name, which a policy cannot hold. Set one of:\n\n  global.networkPolicy.database.cidrs={203.0.113.10/32}\n  global.networkPolicy.database.peers[0].podSelector.matchLabels.app=postgres\n  global.networkPolicy.enabled=false\n" $host) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $cidrs }}
- ipBlock:
    cidr: {{ . }}
{{- end }}
{{- with $database.peers }}
{{ toYaml . }}
{{- end }}
{{- end }}
