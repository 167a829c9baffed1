{{/*
The six services as descriptions; _workload.tpl makes objects of them. A description has
  kind, image, port, values (its part of values.yaml)
  env, secrets, required    variables, names of secret ones, those that must be there
  startup, ready, live      paths of its probes
  calls, urls               components that it calls, and servers that are not of this release
  store | cache             what lasts, where it is mounted
  files                     a Secret's item as a file, whose changes reach the running pod
  metrics                   path of its Prometheus metrics
*/}}

{{- define "ragline.services" -}}
{{- $edge := hasPrefix "edge:" (include "ragline.vectorUrl" .) -}}
{{- $sqlite := hasPrefix "sqlite:" (include "ragline.jobsUrl" .) -}}
{{- $embeddingCalls := list -}}
{{- if .Values.tei.embedding.enabled -}}{{- $embeddingCalls = list "tei-embedding" -}}{{- end -}}
{{- $embedded := include "ragline.hasEmbedded" . | eq "true" -}}
gateway:
  kind: Deployment
  image: {{ include "ragline.ownImage" (list . "gateway") }}
  port: 8888
  {{- /* ready when it can answer, also with an error that names the service that is down */}}
  startup: /health
  ready: /health
  live: /health
  metrics: /metrics
  calls: [embedding, retrieval, reranking, generation, dataprep{{ if .Values.redis.enabled }}, redis{{ end }}]
  {{- if .Values.redis.enabled }}
  secrets: [REDIS_PASSWORD]
  required: [REDIS_PASSWORD]
  {{- end }}
  env:
    EMBEDDING_URL: {{ include "ragline.url" (list . "embedding" 6000) }}
    RETRIEVAL_URL: {{ include "ragline.url" (list . "retrieval" 7000) }}
    RERANKING_URL: {{ include "ragline.url" (list . "reranking" 8000) }}
    GENERATION_URL: {{ include "ragline.url" (list . "generation" 9000) }}
    DATAPREP_URL: {{ include "ragline.url" (list . "dataprep" 5000) }}
    GATEWAY_HOSTS: {{ include "ragline.gatewayHosts" . }}
    {{- with include "ragline.split" . }}
    LLM_SPLIT: {{ . }}
    {{- end }}
    {{- /* a pod's own disk is shared with no other gateway, and gone with the pod */}}
    SPLIT_URL: {{ .Values.redis.enabled | ternary (printf "redis://%s:6379/1" (include "ragline.host" (list . "redis"))) "off" | quote }}
    {{- if .Values.keys.enabled }}
    GATEWAY_KEYS_FILE: /etc/ragline/keys/keys.json
    {{- if .Values.redis.enabled }}
    LIMITS_URL: redis://{{ include "ragline.host" (list . "redis") }}:6379/1
    {{- end }}
    {{- else }}
    GATEWAY_ACCESS: open
    {{- end }}
  {{- if .Values.keys.enabled }}
  files: {name: keys, secret: {{ include "ragline.keysSecret" . }}, item: keys.json, mount: /etc/ragline/keys}
  {{- end }}
  values: {{ .Values.gateway | toJson }}
embedding:
  kind: Deployment
  image: {{ include "ragline.ownImage" (list . "embedding") }}
  port: 6000
  startup: /health/ready
  ready: /health/ready
  live: /health
  metrics: /metrics
  calls: {{ $embeddingCalls | toJson }}
  env:
    {{- if .Values.tei.embedding.enabled }}
    EMBEDDING_BACKEND: tei
    TEI_EMBEDDING_ENDPOINT: http://{{ include "ragline.host" (list . "tei-embedding") }}:8080
    {{- else }}
    EMBEDDING_BACKEND: openvino
    {{- end }}
  secrets: [EMBEDDING_API_KEY{{ if not .Values.tei.embedding.enabled }}, HF_TOKEN{{ end }}]
  {{- if not .Values.tei.embedding.enabled }}
  downloads: true
  cache: {mount: /var/lib/ragline}
  {{- end }}
  values: {{ .Values.embedding | toJson }}
retrieval:
  kind: {{ $edge | ternary "StatefulSet" "Deployment" }}
  image: {{ include "ragline.ownImage" (list . "retrieval") }}
  port: 7000
  startup: /health/ready
  ready: /health/ready
  live: /health
  metrics: /metrics
  calls: {{ .Values.qdrant.enabled | ternary (list "qdrant") list | toJson }}
  env:
    VECTOR_URL: {{ include "ragline.vectorUrl" . | quote }}
  {{- if $edge }}
  store: {mount: /var/lib/ragline}
  {{- else if not .Values.qdrant.enabled }}
  urls: {{ list (dict "url" (include "ragline.vectorUrl" .) "egress" .Values.retrieval.egress "targetPort" .Values.retrieval.targetPort) | toJson }}
  {{- end }}
  {{- if hasPrefix "redis" (include "ragline.vectorUrl" .) }}
  secrets: [REDIS_PASSWORD]
  {{- else if not $edge }}
  secrets: [QDRANT_API_KEY]
  required: {{ .Values.qdrant.enabled | ternary (list "QDRANT_API_KEY") list | toJson }}
  {{- end }}
  values: {{ .Values.retrieval | toJson }}
reranking:
  kind: Deployment
  image: {{ include "ragline.ownImage" (list . "reranking") }}
  port: 8000
  startup: /health
  ready: /health
  live: /health
  metrics: /metrics
  calls: {{ .Values.tei.reranking.enabled | ternary (list "tei-reranking") (list "embedding" "retrieval") | toJson }}
  env:
    {{- if .Values.tei.reranking.enabled }}
    RERANKING_BACKEND: tei
    TEI_RERANKING_ENDPOINT: http://{{ include "ragline.host" (list . "tei-reranking") }}:8080
    {{- else }}
    RERANKING_BACKEND: {{ .Values.reranking.backend }}
    EMBEDDING_URL: {{ include "ragline.url" (list . "embedding" 6000) }}
    RETRIEVAL_URL: {{ include "ragline.url" (list . "retrieval" 7000) }}
    {{- end }}
  {{- if .Values.tei.reranking.enabled }}
  secrets: [RERANKING_API_KEY]
  {{- end }}
  values: {{ .Values.reranking | toJson }}
generation:
  kind: Deployment
  image: {{ include "ragline.ownImage" (list . "generation") }}
  port: 9000
  {{- /* a new pod counts when its default model answers; from then on that model's engine may be down
         without taking the other entries with it */}}
  startup: /health/ready
  ready: /health
  live: /health
  metrics: /metrics
  calls: {{ include "ragline.engineNames" . | fromYamlArray | toJson }}
  urls: {{ include "ragline.externalServers" . }}
  env:
    LLM_BACKEND: {{ .Values.llm.backend }}
    LLM_BACKENDS: {{ include "ragline.entries" . | quote }}
  secrets: {{ include "ragline.entrySecrets" . | fromYamlArray | toJson }}
  required: {{ include "ragline.modelSecrets" . | fromYamlArray | toJson }}
  {{- if $embedded }}
  downloads: true
  cache: {mount: /var/lib/ragline}
  {{- end }}
  values: {{ .Values.generation | toJson }}
dataprep:
  kind: {{ $sqlite | ternary "StatefulSet" "Deployment" }}
  image: {{ include "ragline.ownImage" (list . "dataprep") }}
  port: 5000
  {{- /* jobs are accepted and wait where embedding or retrieval is down */}}
  startup: /health
  ready: /health
  live: /health
  metrics: /metrics
  calls: {{ concat (list "embedding" "retrieval") (.Values.redis.enabled | ternary (list "redis") list) | toJson }}
  env:
    EMBEDDING_URL: {{ include "ragline.url" (list . "embedding" 6000) }}
    RETRIEVAL_URL: {{ include "ragline.url" (list . "retrieval" 7000) }}
    JOBS_URL: {{ include "ragline.jobsUrl" . | quote }}
    {{- if or .Values.tei.reranking.enabled (eq .Values.reranking.backend "none") }}
    TOKEN_VECTORS: "false"
    {{- end }}
    {{- if .Values.proxy.links }}
    DATAPREP_FETCH_PROXY: {{ .Values.proxy.https | default .Values.proxy.http | quote }}
    {{- end }}
  {{- if $sqlite }}
  store: {mount: /var/lib/ragline}
  {{- else }}
  secrets: [REDIS_PASSWORD]
  required: {{ .Values.redis.enabled | ternary (list "REDIS_PASSWORD") list | toJson }}
  {{- if not .Values.redis.enabled }}
  urls: {{ list (dict "url" (include "ragline.jobsUrl" .) "egress" .Values.dataprep.egress "targetPort" .Values.dataprep.targetPort) | toJson }}
  {{- end }}
  {{- end }}
  tmp: 2Gi
  values: {{ .Values.dataprep | toJson }}
{{- end -}}

{{- define "ragline.vectorUrl" -}}
{{- if .Values.qdrant.enabled -}}
qdrant://{{ include "ragline.host" (list . "qdrant") }}:6333
{{- else -}}
{{ .Values.retrieval.store }}
{{- end -}}
{{- end -}}

{{- define "ragline.jobsUrl" -}}
{{- if .Values.redis.enabled -}}
redis://{{ include "ragline.host" (list . "redis") }}:6379/0
{{- else -}}
{{ .Values.dataprep.jobs }}
{{- end -}}
{{- end -}}

{{/* What all six have in their environment. */}}
{{/* The names by which clients call the gateway: of the Ingress and the HTTPRoute, and with the namespace. */}}
{{- define "ragline.gatewayHosts" -}}
{{- $hosts := list (printf "%s.%s" (include "ragline.host" (list . "gateway")) .Release.Namespace) -}}
{{- if .Values.ingress.enabled -}}{{- $hosts = concat $hosts .Values.ingress.hosts -}}{{- end -}}
{{- if .Values.httpRoute.enabled -}}{{- $hosts = concat $hosts (default list .Values.httpRoute.hostnames) -}}{{- end -}}
{{- $hosts = concat $hosts (default list .Values.gateway.hosts) -}}
{{- $names := list -}}
{{- range $hosts -}}{{- $names = append $names (trimPrefix "*" .) -}}{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.hostnames) -}}{{- $names = list "*" -}}{{- end -}}
{{- $names | uniq | join "," | quote -}}
{{- end -}}

{{- define "ragline.commonEnv" -}}
HOST: {{ .Values.listen | quote }}
ADMIN_PORT: "9464"
{{- with include "ragline.tlsEnv" . }}
{{ . }}
{{- end }}
HOME: /tmp
HF_HOME: /tmp/huggingface
RAGLINE_HOME: /var/lib/ragline
LOG_LEVEL: {{ .Values.logLevel }}
DEADLINE_SECONDS: {{ .Values.deadlineSeconds | quote }}
SHUTDOWN_SECONDS: {{ include "ragline.shutdownSeconds" . | quote }}
{{- with .Values.otlpEndpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . }}
{{- end }}
{{- end -}}
