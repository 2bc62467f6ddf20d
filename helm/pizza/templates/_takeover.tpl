{{/* The Service of the old system behind a path. */}}
{{- define "pizza.takeover.legacy" -}}
{{- printf "%s-legacy" . -}}
{{- end }}

{{/* The rules of an Ingress. Takes the context, and a dict from paths to Services. */}}
{{- define "pizza.ingressRules" -}}
{{- $services := index . 1 -}}
{{- range (index . 0).Values.ingress.hosts }}
- {{ with . }}host: {{ . | quote }}
  {{ end }}http:
    paths:
      {{- range $prefix := list "" "/api" }}
      {{- range $path, $service := $services }}
      - path: {{ $prefix }}/{{ $path }}
        pathType: Prefix
        backend:
          service:
            name: {{ $service }}
            port:
              name: http
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}

{{/*
The rules of the HTTPRoute. A match by method outranks a match by header, so where reads have a rule of their own, the
rules of the header also match reads by their method.
*/}}
{{- define "pizza.takeover.routeRules" -}}
{{- $values := .Values -}}
{{- $route := pick .Values.httpRoute "filters" "timeouts" -}}
{{- $rules := list -}}
{{- range $path := list "login" "menu" "order" -}}
{{- $weight := index $values.takeover.weights $path | int -}}
{{- $mirrored := index $values.takeover.mirror $path -}}
{{- $service := dict "name" (include "pizza.publicService" (list $path (index $values $path))) "port" 80 -}}
{{- $legacy := dict "name" (include "pizza.takeover.legacy" $path) "port" 80 -}}
{{- $shared := list (merge (dict "weight" $weight) $service) (merge (dict "weight" (sub 100 $weight)) $legacy) -}}
{{- $all := list -}}{{- $reads := list -}}
{{- range list "" "/api" -}}
{{- $match := dict "path" (dict "type" "PathPrefix" "value" (printf "%s/%s" . $path)) -}}
{{- $all = append $all $match -}}
{{- $reads = append $reads (merge (dict "method" "GET") $match) -}}
{{- end -}}
{{- range $value, $backend := dict "always" $service "never" $legacy -}}
{{- $headers := dict "headers" (list (dict "name" $values.takeover.header "value" $value)) -}}
{{- $matches := list -}}
{{- range ternary (concat $all $reads) $all $mirrored -}}{{- $matches = append $matches (merge (dict) . $headers) -}}{{- end -}}
{{- $rules = append $rules (merge (dict "matches" $matches "backendRefs" (list $backend)) $route) -}}
{{- end -}}
{{- if $mirrored -}}
{{- $mirror := dict "type" "RequestMirror" "requestMirror" (dict "backendRef" $service) -}}
{{- $rules = append $rules (merge (dict "matches" $reads "backendRefs" $shared "filters" (append $route.filters $mirror)) $route) -}}
{{- end -}}
{{- $rules = append $rules (merge (dict "matches" $all "backendRefs" $shared) $route) -}}
{{- end -}}
{{- $written := list -}}
{{- range $rules -}}
{{- $rule := . -}}
{{- range $name := list "filters" "timeouts" -}}{{- if not (get $rule $name) -}}{{- $rule = omit $rule $name -}}{{- end -}}{{- end -}}
{{- $written = append $written $rule -}}
{{- end -}}
{{- toYaml $written -}}
{{- end }}

{{/*
The matcher of Traefik for the hosts of the Ingress and a path. PathPrefix(`/menu`) would also match /menus. Takes the
context and the path.
*/}}
{{- define "pizza.takeover.matcher" -}}
{{- $hosts := list -}}
{{- range (index . 0).Values.ingress.hosts -}}
{{- if hasPrefix "*." . -}}
{{- $hosts = append $hosts (printf "HostRegexp(`^[^.]+%s$`)" (trimPrefix "*" . | replace "." "\\.")) -}}
{{- else if . -}}
{{- $hosts = append $hosts (printf "Host(`%s`)" .) -}}
{{- end -}}
{{- end -}}
{{- if not (has "" (index . 0).Values.ingress.hosts) -}}({{ join " || " $hosts }}) && {{ end -}}
{{- printf "PathRegexp(`^(/api)?/%s(/|$)`)" (index . 1) -}}
{{- end }}

{{/* Fails if the values of the takeover contradict each other. Their schema checks each of them. */}}
{{- define "pizza.takeover.check" -}}
{{- $takeover := .Values.takeover -}}
{{- $ingress := .Values.ingress -}}
{{- if eq (empty $takeover.legacy.selector) (empty $takeover.legacy.addresses) -}}
{{- fail "takeover.legacy needs either selector, the labels of the old system's pods, or addresses, outside of the cluster" -}}
{{- end -}}
{{- if eq (get ($takeover.legacy.selector | default dict) "app.kubernetes.io/part-of") "pizza" -}}
{{- fail "takeover.legacy.selector: app.kubernetes.io/part-of: pizza is the label of the services, whose network policies would close the old system's pods" -}}
{{- end -}}
{{- if not (or $ingress.enabled .Values.httpRoute.enabled) -}}
{{- fail "takeover.enabled needs ingress.enabled or httpRoute.enabled: without a way in, there is nothing to share out" -}}
{{- end -}}
{{- range $path := list "login" "menu" "order" -}}
{{- if index $takeover.mirror $path -}}
{{- if eq (index $takeover.weights $path | int) 100 -}}
{{- fail (printf "takeover.mirror.%s must be false at takeover.weights.%s: 100, where the old system answers nothing" $path $path) -}}
{{- end -}}
{{- if and $ingress.enabled (eq $takeover.controller "nginx") -}}
{{- fail (printf "takeover.mirror.%s must be false with takeover.controller: nginx, whose mirror-target repeats writes too: each order would be placed twice. Mirror reads with `parity --listen` (docs/takeover.md#parity)" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $ingress.enabled -}}
{{- range $name, $_ := $ingress.annotations -}}
{{- if and (eq $takeover.controller "nginx") (regexMatch `^(traefik|alb)\.ingress\.kubernetes\.io/` $name) -}}
{{- fail (printf "ingress.annotations: %s is of a controller that reads no annotations of ingress-nginx, so takeover.weights would have no effect. For Traefik, set takeover.controller: traefik" $name) -}}
{{- end -}}
{{- if and (eq $takeover.controller "traefik") (hasPrefix "cert-manager.io/" $name) -}}
{{- fail (printf "ingress.annotations: cert-manager does not read %s of an IngressRoute, so the certificate would expire. Remove it, and create a Certificate, for example in extraObjects" $name) -}}
{{- end -}}
{{- if and (eq $takeover.controller "traefik") (hasPrefix "traefik.ingress.kubernetes.io/" $name) (not (has $name (list "traefik.ingress.kubernetes.io/router.entrypoints" "traefik.ingress.kubernetes.io/router.middlewares" "traefik.ingress.kubernetes.io/router.tls"))) -}}
{{- fail (printf "ingress.annotations: %s has no equivalent in the IngressRoute of takeover.controller: traefik" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $takeover.controller "traefik") (gt (len $ingress.tls) 1) -}}
{{- fail "ingress.tls must have one entry with takeover.controller: traefik, because an IngressRoute has one Secret" -}}
{{- end -}}
{{- end -}}
{{- end }}
