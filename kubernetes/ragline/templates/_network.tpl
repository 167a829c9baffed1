{{/* Who may connect where, as peers of a NetworkPolicy, and what a proxy and an authority of one's own are to the pods. */}}

{{/* An address as bits. */}}
{{- define "ragline.bits" -}}
{{- $hex := "" -}}
{{- if contains ":" . -}}
{{- $halves := splitList "::" . -}}
{{- $before := compact (splitList ":" (first $halves)) -}}
{{- $after := list -}}
{{- if gt (len $halves) 1 -}}{{- $after = compact (splitList ":" (last $halves)) -}}{{- end -}}
{{- range $before -}}{{- $group := printf "0000%s" . -}}{{- $hex = printf "%s%s" $hex (substr (sub (len $group) 4 | int) (len $group) $group) -}}{{- end -}}
{{- $hex = printf "%s%s" $hex (repeat (sub 8 (add (len $before) (len $after)) | int) "0000") -}}
{{- range $after -}}{{- $group := printf "0000%s" . -}}{{- $hex = printf "%s%s" $hex (substr (sub (len $group) 4 | int) (len $group) $group) -}}{{- end -}}
{{- else -}}
{{- range splitList "." . -}}{{- $hex = printf "%s%02x" $hex (int .) -}}{{- end -}}
{{- end -}}
{{- $nibbles := dict "0" "0000" "1" "0001" "2" "0010" "3" "0011" "4" "0100" "5" "0101" "6" "0110" "7" "0111" "8" "1000" "9" "1001" "a" "1010" "b" "1011" "c" "1100" "d" "1101" "e" "1110" "f" "1111" -}}
{{- range splitList "" (lower $hex) -}}{{- get $nibbles . -}}{{- end -}}
{{- end -}}

{{/* (network, network): "yes" where the second is a part of the first, and smaller. */}}
{{- define "ragline.within" -}}
{{- $outer := splitList "/" (index . 0) -}}
{{- $inner := splitList "/" (index . 1) -}}
{{- $bits := last $outer | int -}}
{{- if and (eq (contains ":" (first $outer)) (contains ":" (first $inner))) (gt (last $inner | int) $bits) -}}
{{- if hasPrefix (trunc $bits (include "ragline.bits" (first $outer))) (include "ragline.bits" (first $inner)) -}}yes{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.outsideNetworks" -}}
{{- $outside := .Values.networkPolicy.outside -}}
{{- $outside.cidr | empty | ternary $outside.cidrs (list $outside.cidr) | toJson -}}
{{- end -}}

{{/* Peers outside of the cluster: each network with those exceptions that are a part of it, as Kubernetes wants them. */}}
{{- define "ragline.outside" -}}
{{- $peers := list -}}
{{- $root := . -}}
{{- range $network := include "ragline.outsideNetworks" . | fromJsonArray -}}
{{- $except := list -}}
{{- range $root.Values.networkPolicy.outside.except -}}
{{- if include "ragline.within" (list $network .) -}}{{- $except = append $except . -}}{{- end -}}
{{- end -}}
{{- $block := dict "cidr" $network -}}
{{- if $except -}}{{- $_ := set $block "except" $except -}}{{- end -}}
{{- $peers = append $peers (dict "ipBlock" $block) -}}
{{- end -}}
{{- $peers | toJson -}}
{{- end -}}

{{/* (root, {url, egress, targetPort}): the rule that opens the way to a server. A host NAME.NAMESPACE.svc is in that
namespace, where a network has no say; policies see a pod's port, which need not be its Service's. */}}
{{- define "ragline.egressTo" -}}
{{- $root := index . 0 -}}
{{- $server := index . 1 -}}
{{- $port := $server.targetPort | default (include "ragline.urlPort" $server.url) | int -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse $server.url).host "" -}}
{{- $namespace := regexReplaceAll "^[^.]+\\.([^.]+)\\.svc(\\..*)?$" $host "${1}" -}}
{{- $to := list -}}
{{- if $server.egress -}}{{- $to = $server.egress -}}
{{- else if ne $namespace $host -}}{{- $to = list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" $namespace))) -}}
{{- else -}}{{- $to = include "ragline.outside" $root | fromJsonArray -}}{{- end -}}
{{- dict "ports" (list (dict "port" $port "protocol" "TCP")) "to" $to | toJson -}}
{{- end -}}

{{/* (root, name, description): every rule by which a component reaches what is not of this release. */}}
{{- define "ragline.egressRules" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $it := index . 2 -}}
{{- $own := and (hasKey $it "startup") (not $it.third) -}}
{{- $servers := default list $it.urls -}}
{{- $outward := or $it.downloads $it.urls -}}
{{- if $own -}}
{{- with $root.Values.otlpEndpoint -}}{{- $servers = append $servers (dict "url" .) -}}{{- end -}}
{{- end -}}
{{- if has $name (list "gateway" "dataprep") -}}
{{- with dig "env" "GUARD_URL" (dig "GUARD_URL" "" (default dict $root.Values.env)) $it.values -}}{{- $servers = append $servers (dict "url" .) -}}{{- $outward = true -}}{{- end -}}
{{- end -}}
{{- $ports := list -}}
{{- if $it.downloads -}}{{- $ports = $root.Values.networkPolicy.outside.downloadPorts -}}{{- end -}}
{{- if and (eq $name "dataprep") (eq (dig "env" "DATAPREP_FETCH_URLS" "" $it.values) "true") -}}
{{- $ports = concat $ports (list 80 443) -}}
{{- $outward = true -}}
{{- end -}}
{{- if $outward -}}
{{- range list $root.Values.proxy.http $root.Values.proxy.https -}}{{- if . -}}{{- $servers = append $servers (dict "url" .) -}}{{- end -}}{{- end -}}
{{- end -}}
{{- $rules := list -}}
{{- if $ports -}}
{{- $entries := list -}}
{{- range $ports -}}{{- $entries = append $entries (dict "port" (int .) "protocol" "TCP") -}}{{- end -}}
{{- $rules = append $rules (dict "ports" (uniq $entries) "to" (include "ragline.outside" $root | fromJsonArray)) -}}
{{- end -}}
{{- range $servers -}}{{- $rules = append $rules (include "ragline.egressTo" (list $root .) | fromJson) -}}{{- end -}}
{{- $mesh := $root.Values.networkPolicy.mesh -}}
{{- if $mesh -}}
{{- $meshes := dict "istio" (dict "namespace" "istio-system" "ports" (list 15012)) "linkerd" (dict "namespace" "linkerd" "ports" (list 8080 8086 8090)) -}}
{{- $known := get $meshes $mesh -}}
{{- $entries := list -}}
{{- range $known.ports -}}{{- $entries = append $entries (dict "port" . "protocol" "TCP") -}}{{- end -}}
{{- $rules = append $rules (dict "ports" $entries "to" (list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" ($root.Values.networkPolicy.meshNamespace | default $known.namespace)))))) -}}
{{- end -}}
{{- range $root.Values.networkPolicy.extraEgress -}}
{{- if or (not .components) (has $name .components) -}}{{- $rules = append $rules (omit . "components") -}}{{- end -}}
{{- end -}}
{{- $rules | uniq | toJson -}}
{{- end -}}

{{/* What is reached without the proxy: by suffix, so that another model changes no other pod. The names without a dot are for
libraries that do not know that such a name is a neighbour. */}}
{{- define "ragline.proxyEnv" -}}
{{- $proxy := .Values.proxy -}}
{{- if or $proxy.http $proxy.https -}}
{{- range list "HTTP_PROXY" "http_proxy" }}
{{ . }}: {{ $proxy.http | quote }}
{{- end }}
{{- range list "HTTPS_PROXY" "https_proxy" }}
{{ . }}: {{ $proxy.https | quote }}
{{- end }}
{{- $inside := list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" -}}
{{- range list "gateway" "embedding" "retrieval" "reranking" "generation" "dataprep" "qdrant" "redis" "tei-embedding" "tei-reranking" -}}
{{- $inside = append $inside (include "ragline.host" (list $ .)) -}}
{{- end -}}
{{- range list "NO_PROXY" "no_proxy" }}
{{ . }}: {{ append $inside $proxy.noProxy | compact | join "," | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* The authorities that every client of every pod believes: the variables of OpenSSL, requests, curl, pip and gRPC. */}}
{{- define "ragline.trusted" -}}
{{- if or .Values.trustBundle.configMap .Values.trustBundle.secret -}}yes{{- end -}}
{{- end -}}
{{- define "ragline.trustEnv" -}}
{{- if include "ragline.trusted" . -}}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "CURL_CA_BUNDLE" "PIP_CERT" "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH" }}
{{ . }}: /etc/ragline/trust/ca-bundle.crt
{{- end -}}
{{- end -}}
{{- end -}}
{{- define "ragline.trustVolume" -}}
{{- $bundle := .Values.trustBundle -}}
- name: trust
  {{- if $bundle.configMap }}
  configMap:
    name: {{ $bundle.configMap }}
  {{- else }}
  secret:
    secretName: {{ $bundle.secret }}
  {{- end }}
    defaultMode: 0444
    items:
      - key: {{ $bundle.key }}
        path: ca-bundle.crt
{{- end -}}

{{/* IPv4, IPv6 or both, of every Service; nothing leaves it to the cluster. */}}
{{- define "ragline.families" -}}
{{- with .Values.ipFamilyPolicy -}}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
