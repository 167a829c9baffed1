{{/* What the schema cannot say: values that contradict each other. Each message begins with the key. */}}
{{- define "ragline.validate" -}}
{{- $names := list -}}
{{- if kindIs "map" .Values.models -}}
{{- range $name, $model := .Values.models -}}
{{- if and $model $model.name -}}{{- fail (printf "models.%s.name: the key is the name of the entry already: leave this out" $name) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $models := (include "ragline.modelList" . | fromYaml).items -}}
{{- range $model := $models -}}
{{- if has $model.name $names -}}{{- fail (printf "%s.name: another entry has this name" $model.at) -}}{{- end -}}
{{- $names = append $names $model.name -}}
{{- include "ragline.validateModel" (list $model.at $model) -}}
{{- include "ragline.validateAdmission" (list $model.at $model.engine $model $) -}}
{{- end -}}
{{- if not $names -}}{{- fail "models: every entry is null: keep one, or add one" -}}{{- end -}}
{{- if not (has .Values.llm.backend $names) -}}
{{- fail (printf "llm.backend: %q is no entry of models: choose one of %s" .Values.llm.backend (join ", " $names)) -}}
{{- end -}}
{{- range $model := $models -}}
{{- range $model.fallback -}}
{{- if not (has . $names) -}}{{- fail (printf "%s.fallback: %q is no entry of models: choose from %s" $model.at . (join ", " $names)) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $models -}}{{- include "ragline.validateFallback" (list $models .name (list .name)) -}}{{- end -}}
{{- include "ragline.validateSplit" . -}}
{{- include "ragline.validateStores" . -}}
{{- include "ragline.validateScaling" . -}}
{{- include "ragline.validateEdges" . -}}
{{- include "ragline.validateTls" . -}}
{{- include "ragline.refuse" . -}}
{{- end -}}

{{- define "ragline.validateModel" -}}
{{- $at := index . 0 -}}
{{- $model := index . 1 -}}
{{- $table := include "ragline.engineTable" . | fromYaml -}}
{{- $fits := dig $model.engine "hardware" (list "") $table -}}
{{- if not (has (default "" $model.hardware) $fits) -}}
{{- if has "" $fits -}}{{- fail (printf "%s.hardware: engine %s runs on none of its own, leave it out" $at $model.engine) -}}{{- end -}}
{{- fail (printf "%s.hardware: engine %s needs one of %s" $at $model.engine (join ", " $fits)) -}}
{{- end -}}
{{- if and (has (default "" $model.hardware) (list "gaudi" "cuda")) (not $model.devices) -}}
{{- fail (printf "%s.devices: hardware %s needs the number of devices, 1 or more" $at $model.hardware) -}}
{{- end -}}
{{- if and $model.devices (not (has (default "" $model.hardware) (list "gaudi" "cuda"))) -}}
{{- fail (printf "%s.devices: only hardware gaudi and cuda have devices" $at) -}}
{{- end -}}
{{- if eq $model.engine "external" -}}
{{- if not $model.endpoint -}}{{- fail (printf "%s.endpoint: engine external needs the base URL of the server" $at) -}}{{- end -}}
{{- else if $model.endpoint -}}
{{- fail (printf "%s.endpoint: only engine external has one; the others are deployed here" $at) -}}
{{- end -}}
{{- if not (or $model.modelId (and $model.modelPath (eq $model.engine "embedded"))) -}}
{{- fail (printf "%s.modelId: engine %s needs it" $at $model.engine) -}}
{{- end -}}
{{- if and $model.runtime (ne $model.engine "embedded") -}}{{- fail (printf "%s.runtime: only engine embedded has one" $at) -}}{{- end -}}
{{- if and $model.protocol (ne $model.engine "external") -}}{{- fail (printf "%s.protocol: only engine external has one" $at) -}}{{- end -}}
{{- $parsers := list -}}
{{- range $name, $engine := $table -}}{{- if $engine.reasoningParser -}}{{- $parsers = prepend $parsers $name -}}{{- end -}}{{- end -}}
{{- if and $model.reasoningParser (not (has $model.engine $parsers)) -}}{{- fail (printf "%s.reasoningParser: only engines %s have one" $at (join " and " $parsers)) -}}{{- end -}}
{{- if and $model.apiKey $model.apiKeySecret -}}{{- fail (printf "%s.apiKey: give it or apiKeySecret, not both" $at) -}}{{- end -}}
{{- if not (has $model.engine (list "embedded" "external")) -}}
{{- if not (dig "requests" "memory" "" (default dict $model.resources)) -}}{{- fail (printf "%s.resources: requests.memory is needed: docs/deploy/sizing.md has the arithmetic" $at) -}}{{- end -}}
{{- if not (dig "limits" "memory" "" (default dict $model.resources)) -}}{{- fail (printf "%s.resources: limits.memory is needed: docs/deploy/sizing.md has the arithmetic" $at) -}}{{- end -}}
{{- if not (dig "size" "" (default dict $model.cache)) -}}{{- fail (printf "%s.cache.size: the volume that keeps the model needs a size" $at) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.validateStores" -}}
{{- if and .Values.qdrant.enabled (ne .Values.retrieval.store "edge:") -}}
{{- fail "retrieval.store: qdrant.enabled decides it; leave one of them out" -}}
{{- end -}}
{{- if and .Values.redis.enabled (ne .Values.dataprep.jobs "sqlite:") -}}
{{- fail "dataprep.jobs: redis.enabled decides it; leave one of them out" -}}
{{- end -}}
{{- range $key, $url := dict "retrieval.store" .Values.retrieval.store "dataprep.jobs" .Values.dataprep.jobs -}}
{{- if contains "@" $url -}}{{- fail (printf "%s: no user or password in a URL: set secrets.qdrantApiKey or secrets.redisPassword" $key) -}}{{- end -}}
{{- end -}}
{{- if and .Values.redis.enabled (not .Values.secrets.redisPassword) (not .Values.secrets.existingSecret) -}}
{{- fail "secrets.redisPassword: redis.enabled needs a password: set it, or secrets.existingSecret with the key REDIS_PASSWORD" -}}
{{- end -}}
{{- if and .Values.qdrant.enabled (not .Values.secrets.qdrantApiKey) (not .Values.secrets.existingSecret) -}}
{{- fail "secrets.qdrantApiKey: qdrant.enabled needs a key: set it, or secrets.existingSecret with the key QDRANT_API_KEY" -}}
{{- end -}}
{{- range $role, $tei := .Values.tei -}}
{{- if and $tei.enabled (has $tei.hardware (list "gaudi" "cuda")) (not $tei.devices) -}}
{{- fail (printf "tei.%s.devices: hardware %s needs the number of devices, 1 or more" $role $tei.hardware) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tei.embedding.enabled (not .Values.tei.reranking.enabled) (eq .Values.reranking.backend "late_interaction") -}}
{{- fail "reranking.backend: late_interaction needs token vectors, which text-embeddings-inference does not give: enable tei.reranking, or set none" -}}
{{- end -}}
{{- end -}}

{{- define "ragline.validateScaling" -}}
{{- if and (hasPrefix "edge:" (include "ragline.vectorUrl" .)) (include "ragline.several" .Values.retrieval) -}}
{{- fail "retrieval.replicas: the embedded store has one owner; more need qdrant.enabled, or retrieval.store of a server" -}}
{{- end -}}
{{- if and (hasPrefix "sqlite:" (include "ragline.jobsUrl" .)) (include "ragline.several" .Values.dataprep) -}}
{{- fail "dataprep.replicas: the embedded job store has one owner; more need redis.enabled, or dataprep.jobs of a Redis" -}}
{{- end -}}
{{- $root := . -}}
{{- range $name := list "generation" "embedding" -}}
{{- $values := get $root.Values $name -}}
{{- $keeps := eq $name "generation" | ternary (include "ragline.hasEmbedded" $root | eq "true") (not $root.Values.tei.embedding.enabled) -}}
{{- if and $keeps $values.cache.enabled (include "ragline.several" $values) (eq (default "ReadWriteOnce" $values.cache.accessMode) "ReadWriteOnce") -}}
{{- fail (printf "%s.cache.accessMode: several replicas need ReadWriteMany, or %s.cache.enabled=false (each then fetches the model)" $name $name) -}}
{{- end -}}
{{- end -}}
{{- $models := (include "ragline.modelList" $root | fromYaml).items -}}
{{- range $model := $models -}}
{{- if and (dig "cache" "existingClaim" "" $model) (include "ragline.several" $model) (ne (dig "cache" "accessMode" "ReadWriteOnce" $model) "ReadWriteMany") -}}
{{- fail (printf "%s.cache.existingClaim: several replicas share it only with cache.accessMode ReadWriteMany" $model.at) -}}
{{- end -}}
{{- end -}}
{{- $scaled := dict -}}
{{- range list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep" -}}{{- $_ := set $scaled . (get $root.Values .) -}}{{- end -}}
{{- range $models -}}{{- $_ := set $scaled .at . -}}{{- end -}}
{{- range $key, $values := $scaled -}}
{{- with $values.autoscaling -}}
{{- if .enabled -}}
{{- if not .maxReplicas -}}{{- fail (printf "%s.autoscaling.maxReplicas: needed where autoscaling is enabled" $key) -}}{{- end -}}
{{- if gt (default 1 .minReplicas | int) (int .maxReplicas) -}}{{- fail (printf "%s.autoscaling.maxReplicas: less than minReplicas" $key) -}}{{- end -}}
{{- if and (eq (default "hpa" .type) "keda") (not .triggers) (not $root.Values.prometheus) -}}{{- fail (printf "prometheus: %s.autoscaling.type keda asks it how much waits; set its URL, or autoscaling.triggers" $key) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $values.terminationGracePeriodSeconds (lt (int $values.terminationGracePeriodSeconds) (include "ragline.graceSeconds" $root | int)) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds: less than the %s s that a stream (deadlineSeconds) and preStopSeconds may take" $key (include "ragline.graceSeconds" $root)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.validateEdges" -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}{{- fail "ingress.hosts: ingress.enabled needs one or more" -}}{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}{{- fail "httpRoute.parentRefs: httpRoute.enabled needs the Gateway to attach to" -}}{{- end -}}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}{{- fail "networkPolicy.metricsFrom: serviceMonitor.enabled needs to know where Prometheus runs" -}}{{- end -}}
{{- end -}}

{{/* (models, name, path): the fallbacks of fallbacks must not lead back. */}}
{{- define "ragline.validateFallback" -}}
{{- $models := index . 0 -}}
{{- $name := index . 1 -}}
{{- $path := index . 2 -}}
{{- range $model := $models -}}
{{- if eq $model.name $name -}}
{{- range $model.fallback -}}
{{- if has . $path -}}{{- fail (printf "%s.fallback: leads back: %s" $model.at (append $path . | join " > ")) -}}{{- end -}}
{{- include "ragline.validateFallback" (list $models . (append $path .)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
