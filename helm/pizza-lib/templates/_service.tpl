{{- define "pizza.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "pizza.name" . }}-svc
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "pizza.selectorLabels" . | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
      appProtocol: http
    # /int: no Ingress names it, and a NetworkPolicy lets only the services that call it reach it.
    - name: internal
      port: 9000
      targetPort: internal
      appProtocol: http
    # /metrics alone: monitoring reaches it, and nothing else of the service.
    - name: metrics
      port: 9100
      targetPort: metrics
      appProtocol: http
{{- end }}

{{- define "pizza.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "pizza.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
  {{- with .Values.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}
{{- end }}

{{- define "pizza.podDisruptionBudget" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "pizza.name" . }}-pdb
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that is not ready serves nobody: it must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "pizza.selectorLabels" . | nindent 6 }}
{{- end -}}
{{- end }}

{{- define "pizza.horizontalPodAutoscaler" -}}
{{- with .Values.autoscaling -}}
{{- if .enabled -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail (printf "%s.autoscaling.minReplicas (%d) must not be above maxReplicas (%d)" (include "pizza.name" $) (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- if not (or .targetCPU .targetMemory .metrics) -}}
{{- fail (printf "%s.autoscaling needs targetCPU, targetMemory or metrics to scale by" (include "pizza.name" $)) -}}
{{- end -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "pizza.name" $ }}-hpa
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "pizza.labels" $ | nindent 4 }}
spec:
  scaleTargetRef:
    {{- if $.Values.canary.enabled }}
    apiVersion: argoproj.io/v1alpha1
    kind: Rollout
    name: {{ include "pizza.name" $ }}-rollout
    {{- else }}
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "pizza.name" $ }}-deploy
    {{- end }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    {{- range $resource, $percent := dict "cpu" .targetCPU "memory" .targetMemory }}
    {{- if $percent }}
    - type: Resource
      resource:
        name: {{ $resource }}
        target:
          type: Utilization
          averageUtilization: {{ $percent }}
    {{- end }}
    {{- end }}
    {{- with .metrics }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  behavior:
    {{- toYaml .behavior | nindent 4 }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "pizza.serviceMonitor" -}}
{{- with .Values.global.monitoring.serviceMonitor -}}
{{- if .enabled -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ include "pizza.name" $ }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "pizza.labels" $ | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "pizza.selectorLabels" $ | nindent 6 }}
  # What the rules of deploy/observability call a service.
  jobLabel: app.kubernetes.io/name
  # Rules read classic buckets, also where native histograms are scraped.
  scrapeClassicHistograms: true
  endpoints:
    - port: metrics
      path: /metrics
      interval: {{ .interval }}
{{- end -}}
{{- end -}}
{{- end }}
