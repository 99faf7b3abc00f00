{{- define "itemlens.labels" -}}
app.kubernetes.io/name: itemlens
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "itemlens.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "%s-%s" .Chart.AppVersion (ternary "cuda" "cpu" (gt (int .Values.gpu) 0))) }}
{{- end }}

{{- /* A value as the environment needs it. Helm reads numbers as float64, and would write 8589934592 as 8.589934592e+09. */ -}}
{{- define "itemlens.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* The lame duck, the drain, and 20 seconds for what is left to write. 30 is the server's own drain_seconds. */ -}}
{{- define "itemlens.graceSeconds" -}}
{{- $settings := .Values.settings | default dict }}
{{- addf (dig "lame_duck_seconds" 0 $settings) (dig "drain_seconds" 30 $settings) 20 | ceil | int64 }}
{{- end }}

{{- /* What values.schema.json cannot say. */ -}}
{{- define "itemlens.check" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,50}[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "the release %s names a service and a pod: use at most 52 small letters, digits and -, a letter first" .Release.Name) }}
{{- end }}
{{- if and (not .Values.keys.secretName) (not .Values.keys.allowUnauthenticated) }}
{{- fail "give keys.secretName, or set keys.allowUnauthenticated: without keys everybody who reaches the server may do everything" }}
{{- end }}
{{- if and .Values.keys.secretName .Values.keys.allowUnauthenticated }}
{{- fail "keys.allowUnauthenticated is for a server without keys: set keys.secretName to \"\" too" }}
{{- end }}
{{- if and .Values.tls.clientCertificates (not .Values.tls.secretName) }}
{{- fail "tls.clientCertificates needs tls.secretName" }}
{{- end }}
{{- if and (dig "otlp_endpoint" "" (.Values.settings | default dict)) .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) }}
{{- fail "settings.otlp_endpoint needs rules in networkPolicy.egress for the collector and for DNS: without them no trace leaves the pod" }}
{{- end }}
{{- end }}
