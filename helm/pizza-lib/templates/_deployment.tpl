{{- define "pizza.deployment" -}}
{{- include "pizza.checkConnections" (list . (dict (include "pizza.name" .) .Values)) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "pizza.name" . }}-deploy
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pizza.labels" . | nindent 4 }}
spec:
  {{- if not (or .Values.autoscaling.enabled .Values.canary.enabled) }}
  replicas: {{ .Values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  # Below the 10 minutes of the default: a roll-out that hangs is seen while someone still looks.
  progressDeadlineSeconds: 300
  selector:
    matchLabels:
      {{- include "pizza.selectorLabels" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      # One pod more, and never one less.
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        {{- include "pizza.labels" . | nindent 8 }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        # Pods take a changed setting up by being replaced. Keys of tokens are files, which are read again.
        checksum/config: {{ include "pizza.settings" . | sha256sum }}
        {{- if not (or .Values.secrets.existingSecret .Values.secrets.externalSecret.enabled) }}
        checksum/secrets: {{ include "pizza.secret" . | sha256sum }}
        {{- end }}
        {{- with .Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "pizza.serviceAccountName" . }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- with .Values.global.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      securityContext:
        {{- include "pizza.podSecurityContext" . | nindent 8 }}
      # A stopping pod is unready at once, goes on serving for SHUTDOWN_DELAY while load balancers notice, and
      # then waits up to SHUTDOWN_TIMEOUT for requests in flight. No preStop hook is needed for it.
      terminationGracePeriodSeconds: {{ add .Values.shutdown.delaySeconds .Values.shutdown.timeoutSeconds 5 }}
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "pizza.selectorLabels" $ | nindent 14 }}
        {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ include "pizza.name" . }}
          image: {{ include "pizza.image" . }}
          imagePullPolicy: {{ .Values.global.image.pullPolicy }}
          securityContext:
            {{- include "pizza.containerSecurityContext" . | nindent 12 }}
          ports:
            - name: http
              containerPort: 8000
            - name: internal
              containerPort: 9000
            - name: metrics
              containerPort: 9100
          envFrom:
            {{- if not .Values.canary.enabled }}
            - configMapRef:
                name: {{ include "pizza.name" . }}-config
            {{- end }}
            - secretRef:
                name: {{ include "pizza.secretName" . }}
          {{- if .Values.canary.enabled }}
          env:
            {{- range $name, $value := include "pizza.settings" . | fromYaml }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
          {{- end }}
          {{- if or .Values.jwt (include "pizza.databaseCA" .) }}
          volumeMounts:
            {{- if .Values.jwt }}
            - name: jwt-keys
              mountPath: /etc/pizza/jwt
              readOnly: true
            {{- end }}
            {{- include "pizza.databaseCAMount" . | nindent 12 }}
          {{- end }}
          startupProbe:
            httpGet:
              path: /livez
              port: http
            periodSeconds: 1
            timeoutSeconds: 1
            failureThreshold: 60
          # The process alone: a database that is away must never restart pods.
          livenessProbe:
            httpGet:
              path: /livez
              port: http
            periodSeconds: 10
            timeoutSeconds: 3
            failureThreshold: 3
          # The pod has something right to serve. It does not ask for the database once the pod has been ready, so
          # that an outage of it leaves pods in the Service that can say so.
          readinessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 2
            timeoutSeconds: 1
            failureThreshold: 2
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
      {{- if or .Values.jwt (include "pizza.databaseCA" .) }}
      volumes:
        {{- if .Values.jwt }}
        - name: jwt-keys
          secret:
            secretName: {{ include "pizza.jwtSecretName" . }}
            defaultMode: 0440
        {{- end }}
        {{- include "pizza.databaseCA" . | nindent 8 }}
      {{- end }}
{{- end }}

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
