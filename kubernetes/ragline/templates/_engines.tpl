{{/*
An engine is a row here, its flags in `ragline.engine.<name>` below, its images in values.yaml and its name in
values.schema.json. client: its name in an entry; base: the path of its OpenAI routes; hardware: what it runs on; rootOn: where its image runs as root; shm: its
shared memory; queueMetric: requests that wait, as a custom metric, which is what is behind the colon of queueQuery, its
Prometheus name; reasoningParser: whether it takes one; own: it is Ragline's own image, with its settings.
*/}}
{{- define "ragline.engineTable" -}}
vllm: {client: vllm, port: 8000, base: "", hardware: [cpu, xeon, gaudi, cuda], rootOn: [gaudi], startup: /health, ready: /health, live: /health, shm: 2Gi, queueMetric: vllm_num_requests_waiting, queueQuery: "vllm:num_requests_waiting", reasoningParser: true}
tgi: {client: tgi, port: 8080, base: "", hardware: [cpu, xeon, gaudi, cuda], rootOn: [gaudi], startup: /health, ready: /health, live: /health, shm: 2Gi, queueMetric: tgi_queue_size, queueQuery: tgi_queue_size}
ovms: {client: ovms, port: 8000, base: /v3, hardware: [cpu, xeon], startup: /v2/health/ready, ready: /v2/health/ready, live: /v2/health/live, queueMetric: ovms_current_requests, queueQuery: ovms_current_requests}
llamacpp: {client: llama-server, port: 8080, base: "", hardware: [cpu, xeon, cuda], startup: /health, ready: /health, live: /health, queueMetric: llamacpp_requests_deferred, queueQuery: "llamacpp:requests_deferred", reasoningParser: true}
habana: {client: openai, own: true, port: 9000, base: "", hardware: [gaudi], startup: /health/ready, ready: /health/ready, live: /health, shm: 2Gi, queueMetric: ragline_requests_in_flight, queueQuery: ragline_requests_in_flight}
{{- end -}}

{{/* Which engines, on which hardware, take a field of an entry; on the others it would do nothing. */}}
{{- define "ragline.engineFields" -}}
maxInput: {engines: [tgi]}
kvCacheGiB: {engines: [vllm, ovms], hardware: [cpu, xeon]}
deviceMemory: {engines: [vllm], hardware: [gaudi, cuda]}
numa: {engines: [vllm], hardware: [cpu, xeon]}
cpuBind: {engines: [vllm], hardware: [cpu, xeon]}
{{- end -}}

{{/*
One description, as _services.tpl explains, for each engine of `models`. Flags follow docs/engines.md.
*/}}
{{- define "ragline.engines" -}}
{{- $root := . -}}
{{- $table := include "ragline.engineTable" . | fromYaml -}}
{{- range $model := (include "ragline.modelList" . | fromYaml).items -}}
{{- if not (has $model.engine (list "embedded" "external")) }}
{{- $engine := get $table $model.engine }}
{{- $base := include "ragline.ownImageParts" (list $root "habana") | fromYaml }}
{{- if ne $model.engine "habana" }}
{{- $base = deepCopy (get (get $root.Values.engineImages $model.engine) $model.hardware) }}
{{- end }}
{{- $image := mergeOverwrite $base (default dict $model.image) }}
llm-{{ $model.name }}:
  kind: StatefulSet
  third: {{ ne $model.engine "habana" }}
  image: {{ include "ragline.image" (list $root $image) }}
  port: {{ $engine.port }}
  {{- include (printf "ragline.engine.%s" $model.engine) (merge (dict "recipeCacheMiB" (int $root.Values.gaudi.recipeCacheMiB) "listen" (eq $root.Values.listen "0.0.0.0" | ternary "" $root.Values.listen)) $model) | nindent 2 }}
  startupSeconds: 3600
  startup: {{ $engine.startup }}
  ready: {{ $engine.ready }}
  live: {{ $engine.live }}
  metrics: /metrics
  downloads: true
  secrets: [HF_TOKEN]
  cache: {mount: /cache}
  {{- with $model.shm | default $engine.shm }}
  shm: {{ . }}
  {{- end }}
  devices: {{ include "ragline.devices" $model | fromYaml | toJson }}
  needs: {{ include "ragline.needs" (list $root $model.engine $model) }}
  tmp: 8Gi
  values: {{ $model | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.devices" -}}
{{- if eq .hardware "gaudi" }}
habana.ai/gaudi: {{ .devices }}
{{- else if eq .hardware "cuda" }}
nvidia.com/gpu: {{ .devices }}
{{- end }}
{{- end -}}

{{/* Folders that engines write to, in the cache or in /tmp: the root file system is read-only. */}}
{{- define "ragline.engineHome" -}}
HOME: /tmp
USER: ragline
LOGNAME: ragline
HF_HOME: /cache/huggingface
XDG_CACHE_HOME: /tmp/cache
{{- end -}}

{{/* What Intel's runtime needs in every pod with Gaudi cards: its logs where it may write, MPI without a call that containers
do not have, collectives for several cards. */}}
{{- define "ragline.gaudiEnv" -}}
HABANA_LOGS: /tmp/habana_logs
OMPI_MCA_btl_vader_single_copy_mechanism: none
{{- if gt (int .devices) 1 }}
PT_HPU_ENABLE_LAZY_COLLECTIVES: "true"
{{- end }}
{{- end -}}

{{- define "ragline.engine.vllm" -}}
command: [python3, -m, vllm.entrypoints.openai.api_server]
args:
  - --model={{ .modelPath | default .modelId }}
  - --served-model-name={{ .modelId }}
  - --port=8000
  {{- with .listen }}
  - {{ printf "--host=%s" . | quote }}
  {{- end }}
  - --dtype={{ .dtype | default "bfloat16" }}
  {{- with .maxContext }}
  - --max-model-len={{ . }}
  {{- end }}
  {{- with .concurrency }}
  - --max-num-seqs={{ . }}
  {{- end }}
  {{- if gt (int .devices) 1 }}
  - --tensor-parallel-size={{ .devices }}
  {{- end }}
  {{- if eq .hardware "gaudi" }}
  - --block-size=128
  {{- end }}
  {{- if has .hardware (list "gaudi" "cuda") }}
  - --gpu-memory-utilization={{ .deviceMemory | default 0.9 }}
  {{- end }}
  {{- with .reasoningParser }}
  - --reasoning-parser={{ . }}
  {{- end }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  {{- include "ragline.engineHome" . | nindent 2 }}
  VLLM_CACHE_ROOT: /cache/vllm
  VLLM_NO_USAGE_STATS: "1"
  TRITON_CACHE_DIR: /tmp/triton
  TORCHINDUCTOR_CACHE_DIR: /tmp/inductor
  {{- if has .hardware (list "cpu" "xeon") }}
  VLLM_CPU_KVCACHE_SPACE: {{ .kvCacheGiB | default 8 | quote }}
  VLLM_CPU_OMP_THREADS_BIND: {{ .cpuBind | default "auto" | quote }}
  {{- end }}
  {{- if eq .hardware "gaudi" }}
  {{- include "ragline.gaudiEnv" . | nindent 2 }}
  VLLM_GRAPH_RESERVED_MEM: "0.1"
  PT_HPU_LAZY_MODE: "0"
  {{- if gt (int .devices) 1 }}
  VLLM_WORKER_MULTIPROC_METHOD: spawn
  {{- end }}
  {{- with .recipeCacheMiB }}
  PT_HPU_RECIPE_CACHE_CONFIG: {{ printf "/cache/hpu-recipes,false,%d" (int .) | quote }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "ragline.engine.tgi" -}}
{{- $max := .maxContext | default 8192 | int -}}
{{- $input := .maxInput | default (sub $max (div $max 4)) | int -}}
args:
  - --model-id={{ .modelPath | default .modelId }}
  - --port=8080
  - {{ printf "--hostname=%s" (.listen | default "0.0.0.0") | quote }}
  - --max-input-tokens={{ $input }}
  - --max-total-tokens={{ $max }}
  {{- if eq .hardware "gaudi" }}
  - --max-batch-prefill-tokens={{ mul $input 2 }}
  - --max-batch-size={{ .concurrency | default 16 }}
  {{- else }}
  - --max-batch-prefill-tokens={{ $input }}
  - --dtype={{ .dtype | default "bfloat16" }}
  {{- end }}
  {{- if has .hardware (list "cpu" "xeon") }}
  - --cuda-graphs=0
  {{- end }}
  {{- if gt (int .devices) 1 }}
  - --sharded=true
  - --num-shard={{ .devices }}
  {{- end }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  {{- include "ragline.engineHome" . | nindent 2 }}
  HUGGINGFACE_HUB_CACHE: /cache/huggingface/hub
  TRITON_CACHE_DIR: /tmp/triton
  {{- if eq .hardware "gaudi" }}
  {{- include "ragline.gaudiEnv" . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "ragline.engine.ovms" -}}
args:
  - --rest_port=8000
  {{- with .listen }}
  - {{ printf "--rest_bind_address=%s" . | quote }}
  {{- end }}
  - --model_repository_path=/cache/models
  - --source_model={{ .modelId }}
  - --model_name={{ .modelId }}
  - --task=text_generation
  - --target_device=CPU
  - --cache_size={{ .kvCacheGiB | default 8 }}
  - --metrics_enable
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  {{- include "ragline.engineHome" . | nindent 2 }}
{{- end -}}

{{- define "ragline.engine.llamacpp" -}}
{{- $slots := .concurrency | default 1 | int -}}
args:
  {{- if .modelPath }}
  - --model
  - {{ .modelPath | quote }}
  {{- else }}
  - --hf-repo
  - {{ .modelId | quote }}
  {{- end }}
  - --alias
  - {{ .modelId | quote }}
  - --host
  - {{ .listen | default "0.0.0.0" | quote }}
  - --port
  - "8080"
  - --jinja
  - --metrics
  - --parallel
  - {{ $slots | quote }}
  - --ctx-size
  - {{ mul (.maxContext | default 8192 | int) $slots | quote }}
  {{- with .reasoningParser }}
  - --reasoning-format
  - {{ . | quote }}
  {{- end }}
  {{- if eq .hardware "cuda" }}
  - --n-gpu-layers
  - "999"
  {{- end }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  {{- include "ragline.engineHome" . | nindent 2 }}
  LLAMA_CACHE: /cache/llama.cpp
{{- end -}}

{{/* Ragline's own generation service on a Gaudi, with optimum-habana in its process. */}}
{{- define "ragline.engine.habana" -}}
env:
  {{- include "ragline.engineHome" . | nindent 2 }}
  HOST: {{ .listen | default "0.0.0.0" | quote }}
  RAGLINE_HOME: /cache/ragline
  {{- include "ragline.gaudiEnv" . | nindent 2 }}
  PT_HPU_LAZY_MODE: "1"
  LLM_ENGINE: habana
  LLM_BACKEND: {{ .name }}
  LLM_MODEL_ID: {{ .modelId }}
  {{- with .modelPath }}
  LLM_MODEL_PATH: {{ . }}
  {{- end }}
  LLM_MAX_CONTEXT: {{ .maxContext | default 8192 | quote }}
  LLM_CONCURRENCY: {{ .concurrency | default 1 | quote }}
{{- end -}}
