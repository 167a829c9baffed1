{{/* Model entries and variables that cannot work; see _refuse.tpl. */}}

{{- define "ragline.wrongModels" -}}
{{- $root := . -}}
{{- $models := (include "ragline.modelList" . | fromYaml).items -}}
{{- $names := list -}}
{{- range $models -}}{{- $names = append $names .name -}}{{- end -}}
{{- $profiles := list -}}
{{- range $models -}}
{{- if and .profile (not $profiles) -}}
{{- range $.Files.Lines "settings.txt" -}}{{- if hasPrefix "profile:" . -}}{{- $profiles = append $profiles (regexFind "^\\S+" . | trimPrefix "profile:") -}}{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $token := or .Values.secrets.hfToken .Values.secrets.existingSecret -}}
{{- $called := dict -}}
{{- range $model := $models -}}
{{- $deployed := not (has $model.engine (list "embedded" "external")) -}}
{{- $limit := dig "limits" "memory" "" (default dict $model.resources) -}}
{{- if and $model.maxInput (ge (int $model.maxInput) ($model.maxContext | default 8192 | int)) -}}
{{- printf "\n- %s.maxInput: a prompt of %d tokens leaves no room for an answer in maxContext, %d: lower it or raise maxContext" $model.at (int $model.maxInput) ($model.maxContext | default 8192 | int) -}}
{{- end -}}
{{- range $field, $rule := include "ragline.engineFields" $root | fromYaml -}}
{{- if and (hasKey $model $field) (or (not (has $model.engine $rule.engines)) (and $rule.hardware (not (has (default "" $model.hardware) $rule.hardware)))) -}}
{{- printf "\n- %s.%s: only %s %s it: leave it out" $model.at $field (join " and " $rule.engines) (empty $rule.hardware | ternary "takes" (printf "on %s takes" (join " or " $rule.hardware))) -}}
{{- end -}}
{{- end -}}
{{- if and $model.profile (not (has $model.profile $profiles)) -}}
{{- printf "\n- %s.profile: %q is none: choose one of %s" $model.at $model.profile (join ", " $profiles) -}}
{{- end -}}
{{- if and $model.kvCacheGiB $limit -}}
{{- $needed := addf (mulf (float64 $model.kvCacheGiB) 1073741824.0) (include "ragline.quantity" ($model.shm | default "0") | float64) -}}
{{- if ge $needed (include "ragline.quantity" $limit | float64) -}}
{{- printf "\n- %s.kvCacheGiB: %d GiB of cache, with shm, leave nothing of limits.memory, %s, for the weights: docs/deploy/sizing.md has the arithmetic" $model.at (int $model.kvCacheGiB) (toString $limit) -}}
{{- end -}}
{{- end -}}
{{- if and $model.shm $limit (ge (include "ragline.quantity" $model.shm | float64) (include "ragline.quantity" $limit | float64)) -}}
{{- printf "\n- %s.shm: shared memory is part of limits.memory, %s: lower it" $model.at (toString $limit) -}}
{{- end -}}
{{- if and $deployed (not $token) (not $model.modelPath) (regexMatch "^(meta-llama/|google/gemma-|google/embeddinggemma)" (default "" $model.modelId)) (not (hasKey (default dict $model.env) "HF_ENDPOINT")) -}}
{{- printf "\n- %s.modelId: %s is given out by the hub to those who accepted its licence: set secrets.hfToken, or secrets.existingSecret with HF_TOKEN, or a modelPath" $model.at $model.modelId -}}
{{- end -}}
{{- range $index, $argument := $model.extraArgs -}}
{{- $flag := regexFind "^--?[A-Za-z0-9_-]+" $argument | replace "_" "-" -}}
{{- $keys := dict "--port" "" "--host" "" "--hostname" "" "--rest-port" "" "--model" "modelId" "--model-id" "modelId" "--served-model-name" "modelId" "--max-model-len" "maxContext" "--max-total-tokens" "maxContext" "--ctx-size" "maxContext" "--max-input-tokens" "maxInput" "--max-num-seqs" "concurrency" "--parallel" "concurrency" "--dtype" "dtype" "--reasoning-parser" "reasoningParser" "--gpu-memory-utilization" "deviceMemory" "--cache-size" "kvCacheGiB" "--api-key" "" -}}
{{- if hasKey $keys $flag -}}
{{- with get $keys $flag -}}{{- printf "\n- %s.extraArgs[%d]: %s is set by %s: set that" $model.at $index $flag . -}}
{{- else -}}{{- printf "\n- %s.extraArgs[%d]: %s is the chart's: leave it out" $model.at $index $flag -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if $model.endpoint -}}
{{- $url := urlParse $model.endpoint -}}
{{- if $url.userinfo -}}{{- printf "\n- %s.endpoint: no user or password in a URL: apiKeySecret has the key" $model.at -}}{{- end -}}
{{- if regexMatch "/(chat/completions|completions|models|embeddings|responses)/?$" $url.path -}}{{- printf "\n- %s.endpoint: the base URL, without %s" $model.at (regexFind "/(chat/completions|completions|models|embeddings|responses)/?$" $url.path) -}}{{- end -}}
{{- if not (regexMatch "^[^:/?#]+(:[0-9]+)?$|^\\[[0-9a-fA-F:]+\\](:[0-9]+)?$" $url.host) -}}{{- printf "\n- %s.endpoint: %q has no host: such as http://vllm.models.svc:8000" $model.at $model.endpoint -}}{{- end -}}
{{- end -}}
{{- include "ragline.wrongPort" (list (printf "%s.endpoint" $model.at) $model.endpoint) -}}
{{- if and $model.firstTokenSeconds (ge (float64 $model.firstTokenSeconds) (float64 $root.Values.deadlineSeconds)) -}}
{{- printf "\n- %s.firstTokenSeconds: not before deadlineSeconds, %v, ends the request: lower it" $model.at $root.Values.deadlineSeconds -}}
{{- end -}}
{{- range $alias := append (default list $model.aliases) $model.name -}}
{{- with get $called $alias -}}{{- if ne . $model.at -}}{{- printf "\n- %s.aliases: %s is another entry's name or alias (%s)" $model.at $alias . -}}{{- end -}}{{- end -}}
{{- $_ := set $called $alias $model.at -}}
{{- end -}}
{{- with $model.image -}}
{{- if and .repository (regexMatch "[:@]" .repository) -}}{{- printf "\n- %s.image.repository: without tag and digest, which have keys of their own" $model.at -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $role, $tei := .Values.tei -}}
{{- if and $tei.enabled (not $token) (not $tei.modelPath) (regexMatch "^google/embeddinggemma" $tei.modelId) (not (hasKey (default dict $tei.env) "HF_ENDPOINT")) -}}
{{- printf "\n- tei.%s.modelId: %s is given out by the hub to those who accepted its licence: set secrets.hfToken, or secrets.existingSecret with HF_TOKEN, or a modelPath" $role $tei.modelId -}}
{{- end -}}
{{- end -}}
{{- range .Values.test.skipModels -}}
{{- if not (has . $names) -}}{{- printf "\n- test.skipModels: %q is no entry of models: choose from %s" . (join ", " $names) -}}{{- end -}}
{{- end -}}
{{- if .Values.redis.enabled -}}
{{- $limit := dig "limits" "memory" "" .Values.redis.resources -}}
{{- $most := .Values.redis.maxMemory | replace "kb" "Ki" | replace "mb" "Mi" | replace "gb" "Gi" -}}
{{- if and $limit (ge (include "ragline.quantity" $most | float64) (include "ragline.quantity" $limit | float64)) -}}
{{- printf "\n- redis.maxMemory: %s does not fit into redis.resources.limits.memory, %s: lower it or raise the limit" .Values.redis.maxMemory $limit -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The variables of the six services: misspelt, another service's, or with a value of their own. */}}
{{- define "ragline.wrongEnv" -}}
{{- $root := . -}}
{{- $settings := dict -}}
{{- $given := dict -}}
{{- range list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep" -}}{{- $given = merge $given (default dict (get $root.Values .).env) -}}{{- end -}}
{{- range (merge $given (default dict .Values.env)) | empty | ternary list (.Files.Lines "settings.txt") -}}{{- if and . (not (hasPrefix "profile:" .)) -}}{{- $_ := set $settings (regexFind "^\\S+" .) (regexFind "\\S+$" . | splitList ",") -}}{{- end -}}{{- end -}}
{{- $decided := dict "LLM_BACKEND" "llm.backend" "LLM_BACKENDS" "models" "LLM_SPLIT" "llm.split" "LLM_ENGINE" "models" "LLM_ENDPOINT" "models" "LLM_MODEL_ID" "models" "LLM_MODEL_PATH" "models" "VECTOR_URL" "retrieval.store" "JOBS_URL" "dataprep.jobs" "RERANKING_BACKEND" "reranking.backend, tei.reranking" "EMBEDDING_BACKEND" "tei.embedding" "GATEWAY_ACCESS" "keys.enabled" "GATEWAY_KEYS_FILE" "keys.existingSecret" "GATEWAY_HOSTS" "gateway.hosts" "DEADLINE_SECONDS" "deadlineSeconds" "SHUTDOWN_SECONDS" "deadlineSeconds" "LOG_LEVEL" "logLevel" "OTEL_EXPORTER_OTLP_ENDPOINT" "otlpEndpoint" "HTTP_PROXY" "proxy.http" "http_proxy" "proxy.http" "HTTPS_PROXY" "proxy.https" "https_proxy" "proxy.https" "NO_PROXY" "proxy.noProxy" "no_proxy" "proxy.noProxy" "HF_TOKEN" "secrets.hfToken" "HUGGINGFACEHUB_API_TOKEN" "secrets.hfToken" "REDIS_PASSWORD" "secrets.redisPassword" "QDRANT_API_KEY" "secrets.qdrantApiKey" "EMBEDDING_API_KEY" "secrets.embeddingApiKey" "RERANKING_API_KEY" "secrets.rerankingApiKey" "SERVICE_TOKEN" "secrets.serviceToken" "TLS_CERT_FILE" "tls.secretName" "TLS_KEY_FILE" "tls.secretName" -}}
{{- $fixed := list "HOST" "ADMIN_PORT" "RAGLINE_HOME" "HOME" "GATEWAY_PORT" "EMBEDDING_PORT" "RETRIEVAL_PORT" "RERANKING_PORT" "GENERATION_PORT" "DATAPREP_PORT" -}}
{{- $environments := dict "env" (dict "env" .Values.env "service" "") -}}
{{- range list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep" -}}
{{- $_ := set $environments (printf "%s.env" .) (dict "env" (get $root.Values .).env "service" .) -}}
{{- end -}}
{{- range $key, $it := $environments -}}
{{- range $name, $_ := $it.env -}}
{{- $readers := get $settings $name -}}
{{- if hasKey $decided $name -}}
{{- printf "\n- %s.%s: %s decides it: leave this out" $key $name (get $decided $name) -}}
{{- else if has $name $fixed -}}
{{- printf "\n- %s.%s: the chart's ports, probes and volumes depend on it: leave it out" $key $name -}}
{{- else if $readers -}}
{{- if and $it.service (not (has $it.service $readers)) (not (has "all" $readers)) -}}
{{- printf "\n- %s.%s: is read by %s, not by %s: put it into %s.env" $key $name (join ", " $readers) $it.service (first $readers) -}}
{{- end -}}
{{- else if not (regexMatch "^(HF_|HUGGING|PIP_|OTEL_|OMP_|KMP_|PYTHON|SSL_|REQUESTS_|CURL_|OV_|OPENVINO_|ONEDNN_|MALLOC_|GRPC_|LD_|TZ$|LANG)" $name) -}}
{{- include "ragline.misspelt" (list $key $name (keys $settings | sortAlpha)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (key, name, settings): what a variable is called that looks like one of ours, by the pairs of letters that both have. */}}
{{- define "ragline.misspelt" -}}
{{- $name := index . 1 | upper | replace "-" "_" -}}
{{- $letters := splitList "" $name -}}
{{- $pairs := list -}}
{{- range $index, $letter := initial $letters -}}{{- $pairs = append $pairs (printf "%s%s" $letter (index $letters (add1 $index | int))) -}}{{- end -}}
{{- $best := dict "name" "" "common" 0 "score" 0 -}}
{{- range $candidate := index . 2 -}}
{{- $common := 0 -}}
{{- range $pair := $pairs -}}{{- if contains $pair $candidate -}}{{- $common = add1 $common -}}{{- end -}}{{- end -}}
{{- $apart := sub (len $candidate) (len $name) | int -}}
{{- $score := sub (mul 10 $common) (max $apart (sub 0 $apart)) | int -}}
{{- if gt $score (int $best.score) -}}{{- $best = dict "name" $candidate "common" $common "score" $score "apart" (max $apart (sub 0 $apart)) -}}{{- end -}}
{{- end -}}
{{- $alike := and (ge (len $pairs) 4) (ge (mul 10 $best.common | int) (mul 7 (len $pairs) | int)) (le ($best.apart | default 0 | int) 3) -}}
{{- if or $alike (regexMatch "^(GATEWAY|EMBEDDING|RETRIEVAL|RERANKING|GENERATION|DATAPREP|LLM|RAGLINE)_" $name) -}}
{{- printf "\n- %s.%s: no setting of Ragline; the closest is %s (docs/settings.md). If it is meant for something else: extraEnv" (index . 0) (index . 1) $best.name -}}
{{- end -}}
{{- end -}}
