{{/* TLS of Ragline's own services: between each other, and with whoever calls them. Engines and other servers have none. */}}

{{/* (root, component, port): the base URL of one of our own services. */}}
{{- define "ragline.url" -}}
{{- printf "%s://%s:%v" (include "ragline.scheme" (index . 0)) (include "ragline.host" (list (index . 0) (index . 1))) (index . 2) -}}
{{- end -}}

{{- define "ragline.scheme" -}}
{{- .Values.tls.enabled | ternary "https" "http" -}}
{{- end -}}

{{- define "ragline.tlsEnv" -}}
{{- if .Values.tls.enabled -}}
TLS_CERT_FILE: /etc/ragline/tls/tls.crt
TLS_KEY_FILE: /etc/ragline/tls/tls.key
TLS_CA_FILE: /etc/ragline/tls/ca.crt
{{- end -}}
{{- end -}}

{{/* (root, whether the key is mounted too): the files of tls.secretName, and where they are. */}}
{{- define "ragline.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ (index . 0).Values.tls.secretName }}
    {{- /* where no key is among them whoever runs in the pod may read them */}}
    defaultMode: {{ (index . 1) | ternary "0440" "0444" }}
    items:
      {{- range (index . 1) | ternary (list "tls.crt" "tls.key" "ca.crt") (list "ca.crt") }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end -}}
{{- define "ragline.tlsMount" -}}
- name: tls
  mountPath: /etc/ragline/tls
  readOnly: true
{{- end -}}

{{- define "ragline.validateTls" -}}
{{- if and .Values.tls.enabled (not .Values.tls.secretName) -}}
{{- fail "tls.secretName: tls.enabled needs a Secret with tls.crt, tls.key and ca.crt: docs/deploy/operate.md has one by cert-manager" -}}
{{- end -}}
{{- end -}}
