{{/* A pod that places an order as a customer does: registers, logs in, reads the menu, orders, and logs out. */}}
{{- define "pizza.smokePod" -}}
restartPolicy: Never
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "pizza.podSecurityContext" . | nindent 2 }}
containers:
  - name: order
    image: {{ include "pizza.umbrella.image" (list . .Values.order.image) }}
    imagePullPolicy: {{ .Values.global.image.pullPolicy }}
    args: [smoke]
    securityContext:
      {{- include "pizza.containerSecurityContext" . | nindent 6 }}
    env:
      - name: LOGIN_URL
        value: http://login-svc
      - name: MENU_URL
        value: http://menu-svc
      - name: ORDER_URL
        value: http://order-svc
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {cpu: 100m, memory: 64Mi}
{{- end }}
