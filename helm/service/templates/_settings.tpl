{{/* The settings of a service that are not secret, without those at their default. */}}
{{- define "pizza.settings" -}}
{{- $global := .Values.global }}
{{- $settings := dict
  "ENVIRONMENT" $global.environment
  "LOG_LEVEL" $global.logLevel
  "SERVICE_VERSION" (include "pizza.tag" .)
  "DB_HOST" (required "global.postgresql.host is required: the address of PostgreSQL as pods see it" $global.postgresql.host)
  "DB_PORT" $global.postgresql.port
  "DB_NAME" $global.postgresql.database
  "DB_SSLMODE" $global.postgresql.sslmode
  "DB_USER" .Values.database.user
  "DB_MAX_CONNS" .Values.database.maxConnections
  "SHUTDOWN_DELAY" (printf "%ds" (int .Values.shutdown.delaySeconds))
  "SHUTDOWN_TIMEOUT" (printf "%ds" (int .Values.shutdown.timeoutSeconds)) }}
{{- if include "pizza.databaseCA" . }}
{{- $_ := set $settings "DB_SSLROOTCERT" "/etc/pizza/database/ca.crt" }}
{{- end }}
{{- if not $global.postgresql.preparedStatements }}
{{- $_ := set $settings "DB_PREPARED_STATEMENTS" "off" }}
{{- end }}
{{- with $global.corsAllowedOrigins }}
{{- $_ := set $settings "CORS_ALLOWED_ORIGINS" (join "," .) }}
{{- end }}
{{- with $global.trustedProxies }}
{{- $_ := set $settings "TRUSTED_PROXIES" (join "," .) }}
{{- end }}
{{- if .Values.jwt }}
{{- $_ := set $settings "JWT_SECRET_FILE" "/etc/pizza/jwt/current" }}
{{- $_ := set $settings "JWT_SECRET_PREVIOUS_FILE" "/etc/pizza/jwt/previous" }}
{{- end }}
{{- if .Values.menuBaseURL }}
{{- $_ := set $settings "MENU_BASE_URL" .Values.menuBaseURL }}
{{- end }}
{{- range $where, $more := dict "config" .Values.config "secrets.values" .Values.secrets.values }}
{{- range $name, $_ := $more }}
{{- if hasKey $settings $name }}
{{- fail (printf "%s.%s.%s must be left out: another value of the chart sets it" (include "pizza.name" $) $where $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- $settings = merge (dict) .Values.config $settings }}
{{- include "pizza.refuseEnv" (list (include "pizza.name" .) $settings (include "pizza.pod" (list . .Values) | fromYaml).extraEnv) }}
{{- range $name, $value := $settings }}
{{ $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}
