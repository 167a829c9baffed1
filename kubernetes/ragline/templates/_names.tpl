{{/* Names, labels and images. Every helper that takes a list takes (root, ...). */}}

{{- define "ragline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 24 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 24 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* (root, component): what selects its pods; never changes between releases of the chart. */}}
{{- define "ragline.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: ragline
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* (root, component): the labels of an object. */}}
{{- define "ragline.labels" -}}
{{- $root := index . 0 -}}
{{ include "ragline.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ragline
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ragline.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "ragline.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end -}}

{{/* (root, {registry, repository, tag, digest}): the reference; `mirror` takes the registry's place. */}}
{{- define "ragline.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $image.registry $root.Values.mirror -}}
{{- $registry | empty | ternary "" (printf "%s/" $registry) -}}{{ $image.repository }}
{{- if $image.tag -}}:{{ $image.tag }}{{- end -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- end -}}
{{- end -}}

{{/* (root, service): the image of one of Ragline's own services, in parts and as a reference. */}}
{{- define "ragline.ownImageParts" -}}
{{- $root := index . 0 -}}
{{- $own := $root.Values.image -}}
registry: {{ $own.registry | quote }}
repository: {{ printf "%s%s" $own.prefix (index . 1) }}
tag: {{ default $root.Chart.AppVersion $own.tag | quote }}
digest: {{ get (default dict $own.digests) (index . 1) | quote }}
{{- end -}}
{{- define "ragline.ownImage" -}}
{{- include "ragline.image" (list (index . 0) (include "ragline.ownImageParts" . | fromYaml)) -}}
{{- end -}}

{{/* (root, component): the address of a component inside the cluster. */}}
{{- define "ragline.host" -}}
{{- printf "%s-%s" (include "ragline.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* A URL's port, or that of its scheme. */}}
{{- define "ragline.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $scheme := trimSuffix "s" $url.scheme -}}
{{- $known := dict "http" (eq $url.scheme "https" | ternary "443" "80") "qdrant" "6333" "redis" "6379" -}}
{{- default (get $known $scheme) $port -}}
{{- end -}}

{{/* The longest that a request in flight may take to finish, and what Kubernetes gives it. */}}
{{- define "ragline.shutdownSeconds" -}}{{ add (int .Values.deadlineSeconds) 5 }}{{- end -}}
{{- define "ragline.graceSeconds" -}}{{ add (int .Values.deadlineSeconds) 5 (int .Values.preStopSeconds) 10 }}{{- end -}}
