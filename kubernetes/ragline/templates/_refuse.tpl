{{/*
Values that cannot work, found all at once: one line each, which begins with the key and ends with what to change. What the
schema can say is in values.schema.json; what one entry says against another in _validate.tpl; here is what has to be computed.
*/}}

{{- define "ragline.refuse" -}}
{{- $problems := list -}}
{{- range list "ragline.wrongComponents" "ragline.wrongModels" "ragline.wrongEnv" "ragline.wrongEdges" "ragline.wrongNetwork" -}}
{{- $problems = append $problems (include . $) -}}
{{- end -}}
{{- with $problems | join "" | trim -}}{{- fail (printf "these values cannot work:\n%s" .) -}}{{- end -}}
{{- end -}}

{{/* Every component that runs, by the key of its values. */}}
{{- define "ragline.keyed" -}}
{{- $keyed := dict -}}
{{- range list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep" -}}{{- $_ := set $keyed . (get $.Values .) -}}{{- end -}}
{{- range list "qdrant" "redis" -}}{{- if (get $.Values .).enabled -}}{{- $_ := set $keyed . (get $.Values .) -}}{{- end -}}{{- end -}}
{{- range $role, $tei := .Values.tei -}}{{- if $tei.enabled -}}{{- $_ := set $keyed (printf "tei.%s" $role) $tei -}}{{- end -}}{{- end -}}
{{- range (include "ragline.modelList" . | fromYaml).items -}}{{- $_ := set $keyed .at . -}}{{- end -}}
{{- $keyed | toJson -}}
{{- end -}}

{{/* A quantity as a number. */}}
{{- define "ragline.quantity" -}}
{{- $text := toJson . | trimAll "\"" -}}
{{- $factors := dict "m" 0.001 "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $factors (regexReplaceAll "^[0-9.]+" $text "")) -}}
{{- end -}}

{{/* (key, value): a size of memory or disk that nobody means. */}}
{{- define "ragline.wrongSize" -}}
{{- $bytes := include "ragline.quantity" (index . 1) | float64 -}}
{{- if lt $bytes 1048576.0 -}}
{{- printf "\n- %s: %s is less than a mebibyte: give a unit, such as 512Mi or 10Gi" (index . 0) (toJson (index . 1) | trimAll "\"") -}}
{{- end -}}
{{- end -}}

{{- define "ragline.wrongComponents" -}}
{{- $root := . -}}
{{- $nodePorts := dict -}}
{{- range $key, $values := include "ragline.keyed" . | fromJson -}}
{{- $requests := dig "requests" dict (default dict $values.resources) | default dict -}}
{{- $limits := dig "limits" dict (default dict $values.resources) | default dict -}}
{{- range $name, $amount := $requests -}}
{{- $limit := get $limits $name -}}
{{- if and (hasKey $limits $name) (gt (include "ragline.quantity" $amount | float64) (include "ragline.quantity" $limit | float64)) -}}
{{- printf "\n- %s.resources.requests.%s: %s is more than limits.%s, %s: raise the limit or lower the request" $key $name (toJson $amount | trimAll "\"") $name (toJson $limit | trimAll "\"") -}}
{{- end -}}
{{- end -}}
{{- range $kind, $amounts := dict "requests" $requests "limits" $limits -}}
{{- range $name, $amount := $amounts -}}
{{- if eq $name "cpu" -}}
{{- if le (include "ragline.quantity" $amount | float64) 0.0 -}}{{- printf "\n- %s.resources.%s.cpu: more than 0, such as 500m" $key $kind -}}{{- end -}}
{{- else -}}
{{- include "ragline.wrongSize" (list (printf "%s.resources.%s.%s" $key $kind $name) $amount) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $part := list "persistence" "cache" -}}
{{- $volume := get $values $part | default dict -}}
{{- if hasKey $volume "size" -}}{{- include "ragline.wrongSize" (list (printf "%s.%s.size" $key $part) $volume.size) -}}{{- end -}}
{{- if and $volume.existingClaim $volume.storageClass -}}
{{- printf "\n- %s.%s.storageClass: existingClaim has its own class: leave one of them out" $key $part -}}
{{- end -}}
{{- if and (eq (default "" $volume.accessMode) "ReadWriteOncePod") (include "ragline.several" $values) -}}
{{- printf "\n- %s.%s.accessMode: ReadWriteOncePod is for one pod, and there are several: ReadWriteMany, or fewer" $key $part -}}
{{- end -}}
{{- end -}}
{{- if $values.shm -}}{{- include "ragline.wrongSize" (list (printf "%s.shm" $key) $values.shm) -}}{{- end -}}
{{- include "ragline.wrongScale" (list $key $values $requests) -}}
{{- include "ragline.wrongPod" (list $key $values) -}}
{{- $port := dig "service" "nodePort" 0 $values | int -}}
{{- if $port -}}
{{- if eq (dig "service" "type" "ClusterIP" $values) "ClusterIP" -}}{{- printf "\n- %s.service.nodePort: a ClusterIP has none: service.type NodePort or LoadBalancer" $key -}}{{- end -}}
{{- if or (lt $port 30000) (gt $port 32767) -}}{{- printf "\n- %s.service.nodePort: %d is outside 30000 to 32767, which clusters give to nodes' ports" $key $port -}}{{- end -}}
{{- with get $nodePorts (toString $port) -}}{{- printf "\n- %s.service.nodePort: %s has %d already" $key . $port -}}{{- end -}}
{{- $_ := set $nodePorts (toString $port) $key -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (key, values, requests): replicas, autoscalers, budgets. */}}
{{- define "ragline.wrongScale" -}}
{{- $key := index . 0 -}}
{{- $values := index . 1 -}}
{{- $least := $values.replicas | default 1 | int -}}
{{- with $values.autoscaling -}}
{{- if .enabled -}}
{{- $least = .minReplicas | default 1 | int -}}
{{- if gt ($values.replicas | default 1 | int) 1 -}}{{- printf "\n- %s.replicas: autoscaling.enabled decides how many: leave it out, and set autoscaling.minReplicas" $key -}}{{- end -}}
{{- if and (eq (default "hpa" .type) "hpa") (not .metrics) (not $values.engine) (not (get (index $ 2) "cpu")) -}}
{{- printf "\n- %s.resources.requests.cpu: autoscaling by CPU is a share of it: set it, or autoscaling.metrics" $key -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $values.podDisruptionBudget -}}
{{- if and (hasKey . "minAvailable") (hasKey . "maxUnavailable") -}}{{- printf "\n- %s.podDisruptionBudget: minAvailable or maxUnavailable, not both" $key -}}{{- end -}}
{{- if hasKey . "minAvailable" -}}
{{- $wanted := toJson .minAvailable | trimAll "\"" -}}
{{- $all := or (eq $wanted "100%") (and (not (hasSuffix "%" $wanted)) (ge (int $wanted) $least)) -}}
{{- if $all -}}{{- printf "\n- %s.podDisruptionBudget.minAvailable: %s of %d pods lets no node be drained: fewer, or more replicas" $key $wanted $least -}}{{- end -}}
{{- end -}}
{{- if hasKey . "maxUnavailable" -}}
{{- if has (toJson .maxUnavailable | trimAll "\"") (list "0" "0%") -}}{{- printf "\n- %s.podDisruptionBudget.maxUnavailable: 0 lets no node be drained: 1 or more" $key -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (key, values): what a pod has besides its own container. */}}
{{- define "ragline.wrongPod" -}}
{{- $key := index . 0 -}}
{{- $values := index . 1 -}}
{{- $volumes := list "tmp" "home" "state" "shm" "keys" "tls" "trust" -}}
{{- range $index, $volume := $values.extraVolumes -}}
{{- if has $volume.name $volumes -}}{{- printf "\n- %s.extraVolumes[%d].name: %s is the name of another volume of this pod: choose another one" $key $index $volume.name -}}{{- end -}}
{{- $volumes = append $volumes $volume.name -}}
{{- end -}}
{{- $paths := list "/tmp" -}}
{{- range $index, $mount := $values.extraVolumeMounts -}}
{{- if not (has $mount.name $volumes) -}}{{- printf "\n- %s.extraVolumeMounts[%d].name: extraVolumes has no %q" $key $index $mount.name -}}{{- end -}}
{{- if has $mount.mountPath $paths -}}{{- printf "\n- %s.extraVolumeMounts[%d].mountPath: something is mounted at %s already" $key $index $mount.mountPath -}}{{- end -}}
{{- $paths = append $paths $mount.mountPath -}}
{{- end -}}
{{- $names := list -}}
{{- range $index, $entry := $values.extraEnv -}}
{{- if or (has $entry.name $names) (hasKey (default dict $values.env) $entry.name) -}}{{- printf "\n- %s.extraEnv[%d].name: %s is there twice" $key $index $entry.name -}}{{- end -}}
{{- $names = append $names $entry.name -}}
{{- end -}}
{{- range $label, $_ := $values.podLabels -}}
{{- if has $label (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component") -}}{{- printf "\n- %s.podLabels: %s is what the Service selects by: choose another label" $key $label -}}{{- end -}}
{{- end -}}
{{- $own := dict "gateway" "8888" "embedding" "6000" "retrieval" "7000" "reranking" "8000" "generation" "9000" "dataprep" "5000" "qdrant" "6333" "redis" "6379" "tei.embedding" "8080" "tei.reranking" "8080" -}}
{{- $engine := get (include "ragline.engineTable" . | fromYaml) (default "" $values.engine) | default dict -}}
{{- $taken := list (toString (get $own $key | default $engine.port)) "9464" -}}
{{- $containers := list (hasKey $values "engine" | ternary "engine" ($key | replace "." "-")) -}}
{{- range $index, $container := $values.extraContainers -}}
{{- if has $container.name $containers -}}{{- printf "\n- %s.extraContainers[%d].name: %s is the name of another container of this pod" $key $index $container.name -}}{{- end -}}
{{- $containers = append $containers $container.name -}}
{{- range $container.ports -}}
{{- $port := toString .containerPort -}}
{{- if has $port $taken -}}{{- printf "\n- %s.extraContainers[%d].ports: %s is taken in this pod: choose another port" $key $index $port -}}{{- end -}}
{{- if has (default "" .name) (list "http" "admin") -}}{{- printf "\n- %s.extraContainers[%d].ports: the name %s is the service's own: choose another name" $key $index .name -}}{{- end -}}
{{- $taken = append $taken $port -}}
{{- end -}}
{{- end -}}
{{- range $index, $toleration := $values.tolerations -}}
{{- if and (eq (default "Equal" $toleration.operator) "Exists") $toleration.value -}}{{- printf "\n- %s.tolerations[%d].value: operator Exists takes none: leave it out, or operator Equal" $key $index -}}{{- end -}}
{{- if and (not $toleration.key) (ne (default "Equal" $toleration.operator) "Exists") -}}{{- printf "\n- %s.tolerations[%d].key: needed unless operator is Exists" $key $index -}}{{- end -}}
{{- end -}}
{{- end -}}
