{{/*
Argo Rollouts: the Deployment stays as the description of the pods, and has none of
its own; a Rollout that refers to it gives new pods a part of the traffic first. So
a service moves from one to the other without a gap: the Deployment's pods go when
those of the Rollout serve.

While new pods are tried, an analysis asks Prometheus whether they, and they alone,
keep the objectives of the service. Who fails is taken away by itself.
*/}}
{{- define "pizza.rollout" -}}
{{- if .Values.canary.enabled -}}
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: {{ include "pizza.name" . }}-rollout
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  workloadRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "pizza.name" . }}-deploy
    scaleDown: onsuccess
  selector:
    matchLabels:
      {{- include "pizza.selectorLabels" . | nindent 6 }}
  revisionHistoryLimit: 5
  progressDeadlineSeconds: 300
  progressDeadlineAbort: true
  strategy:
    canary:
      maxSurge: 1
      maxUnavailable: 0
      steps:
        {{- toYaml .Values.canary.steps | nindent 8 }}
      analysis:
        templates:
          - templateName: {{ include "pizza.name" . }}-canary
        startingStep: 1 # when the first new pods serve
        args:
          - name: hash
            valueFrom:
              podTemplateHashValue: Latest
{{- end -}}
{{- end }}

{{/*
Without a request there is nothing to judge, and the analysis goes on. A Prometheus
that does not answer, or does not scrape the new pods, is a failure: nobody goes on
blind.
*/}}
{{- define "pizza.analysisTemplate" -}}
{{- if .Values.canary.enabled -}}
{{- $pods := printf `namespace="%s", pod=~"%s-rollout-{{args.hash}}-.*", route!~"/healthz|/livez|/metrics"` .Release.Namespace (include "pizza.name" .) -}}
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
    {{- with .Values.canary.analysis }}
    - name: scraped
      interval: {{ .interval }}
      initialDelay: {{ .interval }}
      failureLimit: {{ .failureLimit }}
      consecutiveErrorLimit: 4
      successCondition: len(result) == 1
      provider:
        prometheus:
          address: {{ .prometheus }}
          query: count(max_over_time(up{namespace="{{ $.Release.Namespace }}", pod=~"{{ include "pizza.name" $ }}-rollout-{{ "{{args.hash}}" }}-.*"}[{{ .window }}]) == 1)
    - name: availability
      interval: {{ .interval }}
      initialDelay: {{ .interval }}
      failureLimit: {{ .failureLimit }}
      consecutiveErrorLimit: 4
      successCondition: len(result) == 0 || isNaN(result[0]) || result[0] >= {{ .availability }}
      provider:
        prometheus:
          address: {{ .prometheus }}
          query: |
            1 - (sum(rate(http_server_request_duration_seconds_count{ {{- $pods }}, status="5xx"}[{{ .window }}])) or vector(0))
            / sum(rate(http_server_request_duration_seconds_count{ {{- $pods -}} }[{{ .window }}]))
    - name: latency
      interval: {{ .interval }}
      initialDelay: {{ .interval }}
      failureLimit: {{ .failureLimit }}
      consecutiveErrorLimit: 4
      successCondition: len(result) == 0 || isNaN(result[0]) || result[0] >= {{ .latency }}
      provider:
        prometheus:
          address: {{ .prometheus }}
          query: |
            sum(rate(http_server_request_duration_seconds_bucket{ {{- $pods }}, status!="5xx", le=~"{{ .latencySeconds }}"}[{{ .window }}]))
            / sum(rate(http_server_request_duration_seconds_count{ {{- $pods }}, status!="5xx"}[{{ .window }}]))
    {{- end }}
{{- end -}}
{{- end }}
