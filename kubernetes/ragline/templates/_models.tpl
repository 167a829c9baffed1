{{/* The list of models: the entries that the generation service gets, and the engines that are deployed. */}}

{{/* Every entry in one form, `items`. `models` is a map by name (an entry set to null is left out), or a list; `at` says
which key an entry has, for messages. An entry without an engine is embedded. */}}
{{- define "ragline.modelList" -}}
{{- $items := list -}}
{{- if kindIs "map" .Values.models -}}
{{- range $name, $model := .Values.models -}}
{{- if $model -}}{{- $items = append $items (merge (dict "name" $name "at" (printf "models.%s" $name)) $model (dict "engine" "embedded")) -}}{{- end -}}
{{- end -}}
{{- else -}}
{{- range $index, $model := .Values.models -}}
{{- $items = append $items (merge (dict "at" (printf "models[%d] (%s)" $index $model.name)) $model (dict "engine" "embedded")) -}}
{{- end -}}
{{- end -}}
{{- dict "items" $items | toJson -}}
{{- end -}}

{{- define "ragline.hasEmbedded" -}}
{{- $found := false -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}
{{- if eq .engine "embedded" -}}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* Component names of the engines that this release runs. */}}
{{- define "ragline.engineNames" -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}
{{- if not (has .engine (list "embedded" "external")) }}
- llm-{{ .name }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The servers of external entries, as `urls` of a description has them. */}}
{{- define "ragline.externalServers" -}}
{{- $servers := list -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}
{{- if eq .engine "external" -}}{{- $servers = append $servers (dict "url" .endpoint "egress" .egress "targetPort" .targetPort) -}}{{- end -}}
{{- end -}}
{{- $servers | toJson -}}
{{- end -}}

{{/* Variables with the keys of the models that have one. */}}
{{- define "ragline.modelSecrets" -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}
{{- if .apiKey }}
- {{ include "ragline.modelKeyName" .name }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.entrySecrets" -}}
{{- include "ragline.modelSecrets" . -}}
{{- if include "ragline.hasEmbedded" . | eq "true" }}
- HF_TOKEN
{{- end -}}
{{- end -}}

{{/* LLM_BACKENDS. A key is `$(NAME)`: Kubernetes puts the secret's value there when the container starts. */}}
{{- define "ragline.entries" -}}
{{- $root := . -}}
{{- $table := include "ragline.engineTable" . | fromYaml -}}
{{- $entries := list -}}
{{- range $model := (include "ragline.modelList" . | fromYaml).items -}}
{{- $entry := dict "name" $model.name -}}
{{- if eq $model.engine "embedded" -}}
{{- $_ := set $entry "engine" (default "auto" $model.runtime) -}}
{{- else if eq $model.engine "external" -}}
{{- $_ := set $entry "engine" (default "openai" $model.protocol) -}}
{{- $_ := set $entry "endpoint" $model.endpoint -}}
{{- else -}}
{{- $engine := get $table $model.engine -}}
{{- $_ := set $entry "engine" $engine.client -}}
{{- $_ := set $entry "endpoint" (printf "%s://%s.%s.svc:%v%s" (default false $engine.own | ternary (include "ragline.scheme" $root) "http") (include "ragline.host" (list $root (printf "llm-%s" $model.name))) $root.Release.Namespace $engine.port $engine.base) -}}
{{- end -}}
{{- $names := dict "modelId" "model_id" "modelPath" "model_path" "profile" "profile" "temperature" "temperature" "topP" "top_p" "aliases" "aliases" "fallback" "fallback" "thinkTags" "think_tags" "lookAhead" "look_ahead" "systemRole" "system_role" "alternatingRoles" "alternating_roles" "request" "request" "firstTokenSeconds" "first_token_seconds" "betweenTokensSeconds" "between_tokens_seconds" -}}
{{- range $key, $field := $names -}}
{{- if hasKey $model $key -}}{{- $_ := set $entry $field (get $model $key) -}}{{- end -}}
{{- end -}}
{{- if and (eq $model.engine "embedded") $model.maxContext -}}{{- $_ := set $entry "max_context" $model.maxContext -}}{{- end -}}
{{- if or $model.apiKey $model.apiKeySecret -}}
{{- $_ := set $entry "api_key" (printf "$(%s)" (include "ragline.modelKeyName" $model.name)) -}}
{{- end -}}
{{- $entries = append $entries $entry -}}
{{- end -}}
{{- $entries | toJson -}}
{{- end -}}

{{/* Env entries of keys that are in secrets of their own. */}}
{{- define "ragline.modelKeyEnv" -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}
{{- if .apiKeySecret }}
- name: {{ include "ragline.modelKeyName" .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .apiKeySecret.name }}
      key: {{ .apiKeySecret.key }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* LLM_SPLIT: the shares of `llm.split` that are not null, as large=10,other=5. */}}
{{- define "ragline.split" -}}
{{- $shares := list -}}
{{- range $name, $share := .Values.llm.split -}}
{{- if ne (toString $share) "<nil>" -}}{{- $shares = append $shares (printf "%s=%v" $name $share) -}}{{- end -}}
{{- end -}}
{{- join "," $shares -}}
{{- end -}}

{{/* Refuses shares of entries that are not there, and more than all of it. */}}
{{- define "ragline.validateSplit" -}}
{{- $names := list -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}{{- $names = append $names .name -}}{{- end -}}
{{- $total := 0.0 -}}
{{- range $name, $share := .Values.llm.split -}}
{{- if ne (toString $share) "<nil>" -}}
{{- if not (has $name $names) -}}{{- fail (printf "llm.split.%s: no entry of models: choose from %s" $name (join ", " $names)) -}}{{- end -}}
{{- $total = addf $total $share -}}
{{- end -}}
{{- end -}}
{{- if gt $total 100.0 -}}{{- fail (printf "llm.split: the shares are %v %% together: at most 100" $total) -}}{{- end -}}
{{- end -}}
