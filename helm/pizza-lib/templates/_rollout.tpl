{{/*
A Rollout (argoproj.io) in place of the Deployment: a release gets a part of the
pods, is measured, gets more of them, or is taken back. Services share no mesh, so
the weight is a number of pods: the Service spreads requests over all of them alike.
*/}}
{{- define "pizza.rollout" -}}
{{- if .Values.rollout.enabled -}}
{{- include "pizza.checkConnections" (list . (dict (include "pizza.name" .) .Values)) -}}
{{- if not (and .Values.global.monitoring.prometheusURL .Values.global.monitoring.serviceMonitor.enabled) -}}
{{- fail (printf "%s.rollout needs what it is measured by: set global.monitoring.prometheusURL and global.monitoring.serviceMonitor.enabled" (include "pizza.name" .)) -}}
{{- end -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: {{ include "pizza.name" . }}-rollout
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  {{- include "pizza.pods" . | trim | nindent 2 }}
  # A release whose pods do not become ready is taken back too.
  progressDeadlineAbort: true
  strategy:
    canary:
      # One pod more, and never one less.
      maxSurge: 1
      maxUnavailable: 0
      steps:
        {{- range .Values.rollout.weights }}
        - setWeight: {{ . }}
        - analysis:
            templates:
              - templateName: {{ include "pizza.name" $ }}-canary
            args:
              - name: hash
                valueFrom:
                  podTemplateHashValue: Latest
        {{- end }}
{{- end -}}
{{- end }}

{{/* What decides about a release: the indicators of deploy/observability/slo.md, of its own pods alone. */}}
{{- define "pizza.analysisTemplate" -}}
{{- if .Values.rollout.enabled -}}
{{- $series := printf "namespace=%q, job=%q, rollouts_pod_template_hash=\"{{args.hash}}\", route!~\"/healthz|/livez|/metrics\"" .Release.Namespace (include "pizza.name" .) -}}
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: {{ include "pizza.name" . }}-canary
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  args:
    - name: hash
  metrics:
    {{- with .Values.rollout.analysis }}
    {{- $valid := printf "sum(rate(http_server_request_duration_seconds_count{%s}[1m]))" $series }}
    {{- $failed := printf "sum(rate(http_server_request_duration_seconds_count{%s, status=\"5xx\"}[1m]))" $series }}
    {{- $answered := printf "sum(rate(http_server_request_duration_seconds_count{%s, status!=\"5xx\"}[1m]))" $series }}
    {{- /* Prometheus 3 writes le="1.0" where 2 wrote le="1". */}}
    {{- $quick := printf "sum(rate(http_server_request_duration_seconds_bucket{%s, status!=\"5xx\", le=~\"%v|%v.0\"}[1m]))" $series .slowSeconds .slowSeconds }}
    {{- $enough := printf "(%s >= %v)" $valid .requestsPerSecond }}
    - name: availability
      {{- include "pizza.measured" (list . .maxFailed) | nindent 6 }}
      provider:
        prometheus:
          address: {{ $.Values.global.monitoring.prometheusURL }}
          query: |
            ({{ $failed }} or vector(0)) / {{ $enough }}
    - name: latency
      {{- include "pizza.measured" (list . .maxSlow) | nindent 6 }}
      provider:
        prometheus:
          address: {{ $.Values.global.monitoring.prometheusURL }}
          # Of all valid requests, so that a release that only fails is judged by availability alone.
          query: |
            (({{ $answered }} - {{ $quick }}) or vector(0)) / {{ $enough }}
    {{- end }}
{{- end -}}
{{- end }}

{{/* Too few requests are no answer: that is neither a success nor a failure, and a person decides. */}}
{{- define "pizza.measured" -}}
{{- $analysis := index . 0 -}}
initialDelay: {{ $analysis.initialDelay }}
interval: {{ $analysis.interval }}
count: {{ $analysis.count }}
failureLimit: {{ $analysis.failureLimit }}
inconclusiveLimit: {{ $analysis.inconclusiveLimit }}
successCondition: len(result) > 0 && result[0] <= {{ index . 1 }}
failureCondition: len(result) > 0 && result[0] > {{ index . 1 }}
{{- end }}
