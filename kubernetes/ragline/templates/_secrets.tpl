{{/* Which secrets there are, and how a container gets one. No other template reads a secret's value. */}}

{{/* Environment variable to the value given inline, of those that are given. */}}
{{- define "ragline.inlineSecrets" -}}
{{- $given := .Values.secrets -}}
{{- $all := dict "HF_TOKEN" $given.hfToken "EMBEDDING_API_KEY" $given.embeddingApiKey "RERANKING_API_KEY" $given.rerankingApiKey "QDRANT_API_KEY" $given.qdrantApiKey "REDIS_PASSWORD" $given.redisPassword "SERVICE_TOKEN" $given.serviceToken -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}
{{- if .apiKey -}}{{- $_ := set $all (include "ragline.modelKeyName" .name) .apiKey -}}{{- end -}}
{{- end -}}
{{- range $name, $value := $all -}}
{{- if $value }}
{{ $name }}: {{ $value | quote }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.modelKeyName" -}}
LLM_API_KEY_{{ . | upper | replace "-" "_" | replace "." "_" }}
{{- end -}}

{{/* (component's name): what the six services have, and engines and other servers have not. */}}
{{- define "ragline.sharedSecrets" -}}
{{- if has . (list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep") -}}
[SERVICE_TOKEN]
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The Secret with the gateway's keys. */}}
{{- define "ragline.keysSecret" -}}
{{ .Values.keys.existingSecret | default (printf "%s-keys" (include "ragline.fullname" .)) }}
{{- end -}}

{{/* (root, names, required): env entries for those of the variables that have a secret; a key that is not
in `required` may be missing from `secrets.existingSecret`. */}}
{{- define "ragline.secretEnv" -}}
{{- $root := index . 0 -}}
{{- $required := index . 2 -}}
{{- $inline := include "ragline.inlineSecrets" $root | fromYaml -}}
{{- range index . 1 }}
{{- if hasKey $inline . }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ include "ragline.fullname" $root }}
      key: {{ . }}
{{- else if $root.Values.secrets.existingSecret }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $root.Values.secrets.existingSecret }}
      key: {{ . }}
      optional: {{ not (has . $required) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* (root, names): changes when one of these inline secrets does, so that only its readers roll. */}}
{{- define "ragline.secretChecksum" -}}
{{- $inline := include "ragline.inlineSecrets" (index . 0) | fromYaml -}}
{{- $mine := dict -}}
{{- range index . 1 -}}
{{- if hasKey $inline . -}}{{- $_ := set $mine . (get $inline .) -}}{{- end -}}
{{- end -}}
{{- if $mine -}}{{ $mine | toYaml | sha256sum }}{{- end -}}
{{- end -}}
