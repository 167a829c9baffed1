{{/*
What pods may do, and what they are given besides: security contexts, service account, runtime class. A context is made of
layers, the later the stronger: the release's, what the engine's image needs, the component's own; null takes a key away.
*/}}

{{/* (map, map, ...): one map, key by key. `mergeOverwrite` would not do: it keeps what false and 0 should replace. */}}
{{- define "ragline.overlay" -}}
{{- $merged := dict -}}
{{- range $layer := . -}}
{{- range $key, $value := default dict $layer -}}
{{- if kindIs "invalid" $value -}}{{- $_ := unset $merged $key -}}{{- else -}}{{- $_ := set $merged $key $value -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- $merged | toJson -}}
{{- end -}}

{{/* (root, description): the pod's security context. On OpenShift the namespace's range gives the ids. */}}
{{- define "ragline.podSecurity" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $shared := $root.Values.podSecurityContext -}}
{{- if $root.Values.openshift -}}{{- $shared = omit $shared "runAsUser" "runAsGroup" "fsGroup" "supplementalGroups" -}}{{- end -}}
{{- include "ragline.overlay" (list $shared (dig "needs" "podSecurityContext" dict $it) $it.values.podSecurityContext) | fromJson | toYaml -}}
{{- end -}}

{{/* (root, description): the container's security context. */}}
{{- define "ragline.containerSecurity" -}}
{{- $root := index . 0 -}}
{{- $it := index . 1 -}}
{{- $shared := $root.Values.securityContext -}}
{{- if $root.Values.openshift -}}{{- $shared = omit $shared "runAsUser" "runAsGroup" -}}{{- end -}}
{{- include "ragline.overlay" (list $shared (dig "needs" "securityContext" dict $it) $it.values.securityContext) | fromJson | toYaml -}}
{{- end -}}

{{/* (root, engine, its values): what the engine's image needs on its hardware, by the same three names. */}}
{{- define "ragline.needs" -}}
{{- $root := index . 0 -}}
{{- $engine := index . 1 -}}
{{- $values := index . 2 -}}
{{- $gaudi := $root.Values.gaudi -}}
{{- $needs := dict -}}
{{- if eq (default "" $values.hardware) "gaudi" -}}
{{- $needs = dict "runtimeClassName" $gaudi.runtimeClassName -}}
{{- if has $values.hardware (dig $engine "rootOn" list (include "ragline.engineTable" $root | fromYaml)) -}}
{{- $_ := set $needs "podSecurityContext" $gaudi.podSecurityContext -}}
{{- $_ := set $needs "securityContext" $gaudi.securityContext -}}
{{- end -}}
{{- else if $values.numa -}}
{{- $needs = dict "securityContext" (dict "seccompProfile" (dict "type" "Unconfined") "capabilities" (dict "drop" (list "ALL") "add" (list "SYS_NICE"))) -}}
{{- end -}}
{{- $needs | toJson -}}
{{- end -}}

{{/* (key, engine, values, root): on OpenShift an image that needs more than restricted-v2 gives needs an account of its own. */}}
{{- define "ragline.validateAdmission" -}}
{{- $at := index . 0 -}}
{{- $values := index . 2 -}}
{{- $root := index . 3 -}}
{{- $needs := include "ragline.needs" (list $root (index . 1) $values) | fromJson -}}
{{- if and $root.Values.openshift (or $needs.podSecurityContext $needs.securityContext) (not $values.serviceAccountName) -}}
{{- fail (printf "%s.serviceAccountName: openshift admits what this engine's image needs only to an account that is bound to an SCC which allows it: docs/deploy/openshift.md has the commands; name the account here" $at) -}}
{{- end -}}
{{- end -}}
