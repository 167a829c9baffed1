{{/* The one component template: objects from a description. Takes (root, name, description). */}}

{{- define "ragline.workload" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $it := index . 2 -}}
{{- $values := $it.values -}}
{{- $scaled := dig "autoscaling" "enabled" false $values -}}
apiVersion: apps/v1
kind: {{ $it.kind }}
metadata:
  name: {{ include "ragline.host" (list $root $name) }}
  labels:
    {{- include "ragline.labels" (list $root $name) | nindent 4 }}
spec:
  {{- if not $scaled }}
  replicas: {{ $values.replicas | default 1 }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "ragline.selector" (list $root $name) | nindent 6 }}
  {{- if eq $it.kind "StatefulSet" }}
  serviceName: {{ include "ragline.host" (list $root $name) }}
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  {{- else if eq (default "" $values.strategy) "Recreate" }}
  strategy:
    type: Recreate
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  {{- end }}
  template:
    metadata:
      labels:
        {{- include "ragline.selector" (list $root $name) | nindent 8 }}
        {{- with $root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- $sum := include "ragline.secretChecksum" (list $root (concat (default list $it.secrets) (include "ragline.sharedSecrets" $name | fromYamlArray) (values (default dict $it.secretAs)))) }}
      {{- if or $sum $values.podAnnotations }}
      annotations:
        {{- if $sum }}
        checksum/secrets: {{ $sum }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    spec:
      {{- include "ragline.podSpec" . | nindent 6 }}
  {{- $volume := include "ragline.volume" (list $it) | fromYaml }}
  {{- if and (eq $it.kind "StatefulSet") $volume.claim (not $volume.existingClaim) }}
  volumeClaimTemplates:
    - metadata:
        name: state
        labels:
          {{- include "ragline.selector" (list $root $name) | nindent 10 }}
      spec:
        {{- include "ragline.claimSpec" $volume | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* What is kept: `store` always on a volume claim, `cache` too unless that is switched off. */}}
{{- define "ragline.volume" -}}
{{- $it := index . 0 -}}
{{- if $it.store -}}
{{- merge (dict "mount" $it.store.mount "claim" true) (default dict $it.values.persistence) | toYaml -}}
{{- else if $it.cache -}}
{{- $cache := default dict $it.values.cache -}}
{{- merge (dict "mount" $it.cache.mount "claim" (dig "enabled" true $cache)) $cache | toYaml -}}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{- define "ragline.claimSpec" -}}
accessModes: [{{ .accessMode | default "ReadWriteOnce" }}]
{{- if hasKey . "storageClass" }}
{{- if .storageClass }}
storageClassName: {{ eq .storageClass "-" | ternary "\"\"" .storageClass }}
{{- end }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end -}}

{{- define "ragline.podSpec" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $it := index . 2 -}}
{{- $values := $it.values -}}
{{- $volume := include "ragline.volume" (list $it) | fromYaml -}}
{{- $host := include "ragline.host" (list $root $name) -}}
serviceAccountName: {{ $values.serviceAccountName | default (include "ragline.serviceAccount" $root) }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds | default (include "ragline.graceSeconds" $root) }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName | default (dig "needs" "runtimeClassName" "" $it) }}
runtimeClassName: {{ . }}
{{- end }}
securityContext:
  {{- include "ragline.podSecurity" (list $root $it) | nindent 2 }}
{{- with $values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with $values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $shared := and (eq $it.kind "Deployment") $volume.claim (eq (default "ReadWriteOnce" $volume.accessMode) "ReadWriteOnce") }}
{{- if $values.affinity }}
affinity:
  {{- toYaml $values.affinity | nindent 2 }}
{{- else if $shared }}
{{- /* a volume that one node mounts: in a rollout the next pod is best where the last one is. It is a wish and no condition: a
       node that is lost would keep the pod, whose cache can be attached elsewhere */}}
affinity:
  podAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "ragline.selector" (list $root $name) | nindent 14 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else if and (include "ragline.several" $values) (not $shared) }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "ragline.selector" (list $root $name) | nindent 8 }}
  {{- end }}
{{- end }}
{{- with $values.initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ hasPrefix "llm-" $name | ternary "engine" $name }}
    image: {{ $it.image | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    {{- with $it.command }}
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $it.args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- include "ragline.env" . | nindent 4 }}
    {{- with $values.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: {{ $it.portName | default "http" }}
        containerPort: {{ $it.port }}
        protocol: TCP
      {{- if not $it.third }}
      - name: admin
        containerPort: 9464
        protocol: TCP
      {{- end }}
    {{- include "ragline.probes" . | nindent 4 }}
    lifecycle:
      preStop:
        exec:
          command: [sleep, {{ $root.Values.preStopSeconds | quote }}]
    resources:
      {{- $resources := deepCopy (default dict $values.resources) }}
      {{- if $it.devices }}
      {{- $_ := set $resources "limits" (merge (deepCopy $it.devices) (default dict $values.extraDevices) (default dict $resources.limits)) }}
      {{- end }}
      {{- toYaml $resources | nindent 6 }}
    securityContext:
      {{- include "ragline.containerSecurity" (list $root $it) | nindent 6 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
      {{- if $volume.mount }}
      - name: state
        mountPath: {{ $volume.mount }}
      {{- else if not $it.third }}
      - name: home
        mountPath: /var/lib/ragline
      {{- end }}
      {{- if $it.shm }}
      - name: shm
        mountPath: /dev/shm
      {{- end }}
      {{- with $it.files }}
      - name: {{ .name }}
        mountPath: {{ .mount }}
        readOnly: true
      {{- end }}
      {{- if and $root.Values.tls.enabled (not $it.third) }}
      {{- include "ragline.tlsMount" $root | nindent 6 }}
      {{- end }}
      {{- if include "ragline.trusted" $root }}
      - name: trust
        mountPath: /etc/ragline/trust
        readOnly: true
      {{- end }}
      {{- with $values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
  {{- with $values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: {{ $it.tmp | default "1Gi" }}
  {{- if not $volume.mount }}
  {{- if not $it.third }}
  - name: home
    emptyDir:
      sizeLimit: 1Gi
  {{- end }}
  {{- else if not $volume.claim }}
  - name: state
    emptyDir:
      sizeLimit: {{ $volume.size }}
  {{- else if or $volume.existingClaim (eq $it.kind "Deployment") }}
  - name: state
    persistentVolumeClaim:
      claimName: {{ $volume.existingClaim | default $host }}
  {{- end }}
  {{- if $it.shm }}
  - name: shm
    emptyDir:
      medium: Memory
      sizeLimit: {{ $it.shm }}
  {{- end }}
  {{- with $it.files }}
  - name: {{ .name }}
    secret:
      secretName: {{ .secret }}
      defaultMode: 0440
      items:
        - key: {{ .item }}
          path: {{ .item }}
  {{- end }}
  {{- if and $root.Values.tls.enabled (not $it.third) }}
  {{- include "ragline.tlsVolume" (list $root true) | nindent 2 }}
  {{- end }}
  {{- if include "ragline.trusted" $root }}
  {{- include "ragline.trustVolume" $root | nindent 2 }}
  {{- end }}
  {{- with $values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* "yes" where there may be more than one pod. */}}
{{- define "ragline.several" -}}
{{- $most := default 1 .replicas | int -}}
{{- if dig "autoscaling" "enabled" false . -}}{{- $most = .autoscaling.maxReplicas | int -}}{{- end -}}
{{- if gt $most 1 -}}yes{{- end -}}
{{- end -}}

{{- define "ragline.env" -}}
{{- $root := index . 0 -}}
{{- $it := index . 2 -}}
{{- $plain := dict -}}
{{- if not $it.third -}}
{{- $plain = merge (deepCopy (default dict $it.env)) (include "ragline.commonEnv" $root | fromYaml) -}}
{{- $plain = mergeOverwrite $plain (default dict $root.Values.env) -}}
{{- else -}}
{{- $plain = deepCopy (default dict $it.env) -}}
{{- end -}}
{{- if or (not $it.third) $it.downloads -}}
{{- $plain = mergeOverwrite (include "ragline.proxyEnv" $root | fromYaml) $plain -}}
{{- end -}}
{{- $plain = mergeOverwrite $plain (include "ragline.trustEnv" $root | fromYaml) (default dict $it.values.env) -}}
env:
{{- $secrets := concat (default list $it.secrets) (include "ragline.sharedSecrets" (index . 1) | fromYamlArray) }}
{{- with include "ragline.secretEnv" (list $root $secrets (default list $it.required)) | trim }}
  {{- . | nindent 2 }}
{{- end }}
{{- if eq (index . 1) "generation" }}
{{- with include "ragline.modelKeyEnv" $root | trim }}
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $variable, $key := $it.secretAs }}
  {{- include "ragline.secretEnv" (list $root (list $key) (list $key)) | trim | replace (printf "- name: %s\n" $key) (printf "- name: %s\n" $variable) | nindent 2 }}
{{- end }}
{{- range $name, $value := $plain }}
  - name: {{ $name }}
    value: {{ $value | quote }}
{{- end }}
{{- with $it.values.extraEnv }}
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "ragline.probes" -}}
{{- $root := index . 0 -}}
{{- $it := index . 2 -}}
{{- $startup := $it.values.startupSeconds | default $it.startupSeconds | default $root.Values.startupSeconds | int -}}
startupProbe:
  {{- include "ragline.probe" (list $it $it.startup $root) | nindent 2 }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add $startup 4) 5 }}
readinessProbe:
  {{- include "ragline.probe" (list $it $it.ready $root) | nindent 2 }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
livenessProbe:
  {{- include "ragline.probe" (list $it $it.live $root) | nindent 2 }}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end -}}

{{- define "ragline.probe" -}}
{{- $it := index . 0 -}}
{{- if $it.exec -}}
exec:
  command:
    {{- toYaml $it.exec | nindent 4 }}
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  {{- if and (index . 2).Values.tls.enabled (not $it.third) }}
  scheme: HTTPS
  {{- end }}
{{- end -}}
{{- end -}}
