{{/*
A pod that places an order like a customer: registers, logs in, reads the menu, orders, and logs out. Takes the
context and the settings of the pod.
*/}}
{{- define "pizza.smokePod" -}}
{{- $pod := index . 1 -}}
{{- with index . 0 -}}
restartPolicy: Never
{{ include "pizza.podSpec" (list . $pod) }}
{{- with pick $pod "initContainers" }}
{{ toYaml . }}
{{- end }}
{{- with $pod.extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: order
    image: {{ include "pizza.umbrella.image" (list . .Values.order.image) }}
    imagePullPolicy: {{ .Values.global.image.pullPolicy }}
    args: [smoke]
    securityContext:
      {{- toYaml $pod.securityContext | nindent 6 }}
    env:
      - name: LOGIN_URL
        value: http://login-svc
      - name: MENU_URL
        value: http://menu-svc
      - name: ORDER_URL
        value: http://order-svc
      {{- with $pod.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with $pod.extraEnvFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $pod.extraVolumeMounts }}
    volumeMounts:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml .Values.smoke.resources | nindent 6 }}
{{- end }}
{{- end }}
