{{/* Autoscalers. Takes (root, name, description). */}}

{{- define "ragline.hpa" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $it := index . 2 -}}
{{- $scale := $it.values.autoscaling -}}
apiVersion: autoscaling/v2{{ semverCompare ">=1.23-0" $root.Capabilities.KubeVersion.Version | ternary "" "beta2" }}
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "ragline.host" (list $root $name) }}
  labels:
    {{- include "ragline.labels" (list $root $name) | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ $it.kind }}
    name: {{ include "ragline.host" (list $root $name) }}
  minReplicas: {{ $scale.minReplicas | default 1 }}
  maxReplicas: {{ $scale.maxReplicas }}
  metrics:
    {{- if $scale.metrics }}
    {{- toYaml $scale.metrics | nindent 4 }}
    {{- else if hasPrefix "llm-" $name }}
    - type: Pods
      pods:
        metric:
          name: {{ include "ragline.queueMetric" $it.values }}
        target:
          type: AverageValue
          averageValue: {{ $scale.queue | default 4 | quote }}
    {{- else }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scale.cpu | default 70 }}
    {{- end }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: {{ $scale.scaleDownSeconds | default 300 }}
{{- end -}}

{{/* Requests that wait at an engine, as a custom metric: what is behind the colon of its Prometheus name. */}}
{{- define "ragline.queueMetric" -}}
{{- get (get (include "ragline.engineTable" . | fromYaml) .engine) "queueMetric" -}}
{{- end -}}

{{- define "ragline.queueQuery" -}}
{{- dig (default "" .engine) "queueQuery" "ragline_requests_in_flight" (include "ragline.engineTable" . | fromYaml) -}}
{{- end -}}

{{- define "ragline.keda" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $it := index . 2 -}}
{{- $scale := $it.values.autoscaling -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ include "ragline.host" (list $root $name) }}
  labels:
    {{- include "ragline.labels" (list $root $name) | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ $it.kind }}
    name: {{ include "ragline.host" (list $root $name) }}
  minReplicaCount: {{ $scale.minReplicas | default 1 }}
  maxReplicaCount: {{ $scale.maxReplicas }}
  cooldownPeriod: {{ $scale.scaleDownSeconds | default 300 }}
  triggers:
    {{- if $scale.triggers }}
    {{- toYaml $scale.triggers | nindent 4 }}
    {{- else }}
    - type: prometheus
      metadata:
        serverAddress: {{ $root.Values.prometheus | quote }}
        query: sum({{ include "ragline.queueQuery" $it.values }}{namespace="{{ $root.Release.Namespace }}",service="{{ include "ragline.host" (list $root $name) }}"})
        threshold: {{ $scale.queue | default 4 | quote }}
    {{- end }}
{{- end -}}
