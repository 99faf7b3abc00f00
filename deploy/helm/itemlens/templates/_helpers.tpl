{{- define "itemlens.labels" -}}
app.kubernetes.io/name: itemlens
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
