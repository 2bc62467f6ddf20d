{{/*
Who may talk to the pods of a service, and whom they may talk to. Everything else
is refused as soon as one policy selects a pod.
*/}}
{{- define "pizza.networkPolicy" -}}
{{- with .Values.global.networkPolicy -}}
{{- if .enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "pizza.name" $ }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "pizza.labels" $ | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "pizza.selectorLabels" $ | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    # The Ingress controller, and the release's own test.
    - from:
        - namespaceSelector:
            {{- toYaml .ingressController.namespaceSelector | nindent 12 }}
          {{- with .ingressController.podSelector }}
          podSelector:
            {{- toYaml . | nindent 12 }}
          {{- end }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/part-of: pizza
              app.kubernetes.io/component: test
      ports:
        - port: http
    # Prometheus.
    - from:
        - namespaceSelector:
            {{- toYaml .prometheus.namespaceSelector | nindent 12 }}
      ports:
        - port: internal
    {{- with $.Values.internalClients }}
    # Services that call /int.
    - from:
        {{- range . }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
              app.kubernetes.io/part-of: pizza
        {{- end }}
      ports:
        - port: internal
    {{- end }}
  egress:
    {{- include "pizza.egress" (list $ .) | nindent 4 }}
    {{- with $.Values.calls }}
    - to:
        {{- range . }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: {{ . }}
              app.kubernetes.io/part-of: pizza
        {{- end }}
      ports:
        - port: 9000
    {{- end }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* To DNS, the database, and what else the values name. Takes the context and the values of the policies. */}}
{{- define "pizza.egress" -}}
{{- $context := index . 0 -}}
{{- $policy := index . 1 -}}
- to:
    - namespaceSelector:
        {{- toYaml $policy.dns.namespaceSelector | nindent 8 }}
      {{- with $policy.dns.podSelector }}
      podSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
  ports:
    {{- range $protocol := list "UDP" "TCP" }}
    {{- range $policy.dns.ports }}
    - port: {{ . }}
      protocol: {{ $protocol }}
    {{- end }}
    {{- end }}
- to:
    {{- range $policy.database.cidrs }}
    - ipBlock:
        cidr: {{ . }}
    {{- end }}
  ports:
    - port: {{ $context.Values.global.postgresql.port }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end }}
