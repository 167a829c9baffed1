{{/* Qdrant, Redis and text-embeddings-inference, where the release brings its own; see _services.tpl. */}}
{{- define "ragline.servers" -}}
{{- if .Values.qdrant.enabled }}
qdrant:
  kind: StatefulSet
  third: true
  image: {{ include "ragline.image" (list . .Values.qdrant.image) }}
  port: 6333
  startup: /readyz
  ready: /readyz
  live: /livez
  env:
    QDRANT__STORAGE__STORAGE_PATH: /data/storage
    QDRANT__STORAGE__SNAPSHOTS_PATH: /data/snapshots
    QDRANT__STORAGE__TEMP_PATH: /data/tmp
    QDRANT__TELEMETRY_DISABLED: "true"
    {{- if ne .Values.listen "0.0.0.0" }}
    QDRANT__SERVICE__HOST: {{ .Values.listen | quote }}
    {{- end }}
    QDRANT_INIT_FILE_PATH: /tmp/.qdrant-initialized
  secretAs: {QDRANT__SERVICE__API_KEY: QDRANT_API_KEY}
  store: {mount: /data}
  values: {{ .Values.qdrant | toJson }}
{{- end }}
{{- if .Values.redis.enabled }}
redis:
  kind: StatefulSet
  third: true
  image: {{ include "ragline.image" (list . .Values.redis.image) }}
  port: 6379
  portName: redis
  {{- /* the password is in a file that only this container has: an argument would be in process lists */}}
  command: [sh, -c]
  args:
    - |-
      umask 077
      {
        echo "requirepass \"$REDIS_PASSWORD\""
        echo "dir /data"
        echo "appendonly yes"
        echo "appendfsync {{ .Values.redis.appendfsync }}"
        echo "maxmemory {{ .Values.redis.maxMemory }}"
        echo "maxmemory-policy noeviction"
      } > /tmp/server.conf
      exec valkey-server /tmp/server.conf
  exec: [sh, -c, 'REDISCLI_AUTH="$REDIS_PASSWORD" valkey-cli ping | grep -q PONG']
  secretAs: {REDIS_PASSWORD: REDIS_PASSWORD}
  store: {mount: /data}
  values: {{ .Values.redis | toJson }}
{{- end }}
{{- $root := . }}
{{- range $role := list "embedding" "reranking" }}
{{- $tei := get $root.Values.tei $role }}
{{- if $tei.enabled }}
tei-{{ $role }}:
  kind: StatefulSet
  third: true
  image: {{ include "ragline.image" (list $root (mergeOverwrite (deepCopy (get $root.Values.teiImages $tei.hardware)) (default dict $tei.image))) }}
  port: 8080
  args:
    - --model-id={{ $tei.modelPath | default $tei.modelId }}
    - --port=8080
    - --auto-truncate
    {{- if ne $root.Values.listen "0.0.0.0" }}
    - {{ printf "--hostname=%s" $root.Values.listen | quote }}
    {{- end }}
    {{- range $tei.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    {{- include "ragline.engineHome" $root | nindent 4 }}
    HUGGINGFACE_HUB_CACHE: /cache/huggingface/hub
    {{- if eq $tei.hardware "gaudi" }}
    {{- include "ragline.gaudiEnv" $tei | nindent 4 }}
    MAX_WARMUP_SEQUENCE_LENGTH: "512"
    {{- end }}
  startup: /health
  ready: /health
  live: /health
  startupSeconds: 1800
  metrics: /metrics
  downloads: true
  secrets: [HF_TOKEN]
  cache: {mount: /cache}
  {{- if eq $tei.hardware "gaudi" }}
  shm: 1Gi
  {{- end }}
  devices: {{ include "ragline.devices" $tei | fromYaml | toJson }}
  needs: {{ include "ragline.needs" (list $root "tei" $tei) }}
  values: {{ $tei | toJson }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Name to nothing, of every component of this release. */}}
{{- define "ragline.componentNames" -}}
{{- range list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep" }}
{{ . }}: {}
{{- end }}
{{- range include "ragline.engineNames" . | fromYamlArray }}
{{ . }}: {}
{{- end }}
{{- if .Values.qdrant.enabled }}
qdrant: {}
{{- end }}
{{- if .Values.redis.enabled }}
redis: {}
{{- end }}
{{- if .Values.tei.embedding.enabled }}
tei-embedding: {}
{{- end }}
{{- if .Values.tei.reranking.enabled }}
tei-reranking: {}
{{- end }}
{{- end -}}

{{/* Every component's description, by its name; fails where the values contradict each other. Two templates ask for it: what the
first one was given is kept beside the values, because the checks are half of a rendering. */}}
{{- define "ragline.components" -}}
{{- if not (hasKey .Values "described") -}}
{{- include "ragline.validate" . -}}
{{- $all := list (include "ragline.services" .) (include "ragline.engines" .) (include "ragline.servers" .) -}}
{{- $_ := set .Values "described" (join "\n" $all) -}}
{{- end -}}
{{ .Values.described }}
{{- end -}}
