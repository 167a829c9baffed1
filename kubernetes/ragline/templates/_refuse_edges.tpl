{{/* Names, addresses and networks that cannot work; see _refuse.tpl. */}}

{{/* (key, host, wildcard): why a host is none. */}}
{{- define "ragline.wrongHost" -}}
{{- $key := index . 0 -}}
{{- $host := index . 1 -}}
{{- $bare := index . 2 | ternary (trimPrefix "*." $host) $host -}}
{{- if contains "://" $host -}}
{{- printf "\n- %s: %q has a scheme: give the host alone, %s" $key $host (regexReplaceAll "[:/].*$" (regexReplaceAll "^[a-z+]+://" $host "") "") -}}
{{- else if contains "/" $host -}}
{{- printf "\n- %s: %q has a path: give the host alone, %s" $key $host (regexReplaceAll "[:/].*$" $host "") -}}
{{- else if regexMatch ":[0-9]+$" $host -}}
{{- printf "\n- %s: %q has a port: give the host alone, %s" $key $host (regexReplaceAll ":.*$" $host "") -}}
{{- else if regexMatch "^[0-9.]+$" $host -}}
{{- printf "\n- %s: %q is an address: give a name" $key $host -}}
{{- else if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" $bare) -}}
{{- printf "\n- %s: %q is no host name: lower case letters, digits, dashes and dots, such as rag.example.com" $key $host -}}
{{- end -}}
{{- end -}}

{{/* (key, URL): a port that no server has. */}}
{{- define "ragline.wrongPort" -}}
{{- $port := regexFind ":[0-9]+$" (urlParse (default "" (index . 1))).host | trimPrefix ":" -}}
{{- if $port -}}
{{- if or (gt (int $port) 65535) (lt (int $port) 1) -}}{{- printf "\n- %s: %s is no port: 1 to 65535" (index . 0) $port -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.wrongEdges" -}}
{{- range $key, $url := dict "retrieval.store" .Values.retrieval.store "dataprep.jobs" .Values.dataprep.jobs "otlpEndpoint" .Values.otlpEndpoint "prometheus" .Values.prometheus "proxy.http" .Values.proxy.http "proxy.https" .Values.proxy.https -}}
{{- include "ragline.wrongPort" (list $key $url) -}}
{{- end -}}
{{- if .Values.ingress.enabled -}}
{{- $hosts := .Values.ingress.hosts -}}
{{- range $index, $host := $hosts -}}{{- include "ragline.wrongHost" (list (printf "ingress.hosts[%d]" $index) $host true) -}}{{- end -}}
{{- if ne (len $hosts) (len (uniq $hosts)) -}}{{- printf "\n- ingress.hosts: a host is there twice" -}}{{- end -}}
{{- range $index, $tls := .Values.ingress.tls -}}
{{- if not $tls.secretName -}}{{- printf "\n- ingress.tls[%d].secretName: the Secret with the certificate is needed" $index -}}{{- end -}}
{{- range $tls.hosts -}}{{- if not (has . $hosts) -}}{{- printf "\n- ingress.tls[%d].hosts: %q is none of ingress.hosts" $index . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- else if or .Values.ingress.hosts .Values.ingress.tls -}}
{{- printf "\n- ingress.enabled: hosts or tls are given and it is false: set it, or leave them out" -}}
{{- end -}}
{{- range $index, $host := .Values.httpRoute.hostnames -}}{{- include "ragline.wrongHost" (list (printf "httpRoute.hostnames[%d]" $index) $host true) -}}{{- end -}}
{{- range $index, $host := .Values.gateway.hosts -}}{{- if not (regexMatch "^\\*?$" $host) -}}{{- include "ragline.wrongHost" (list (printf "gateway.hosts[%d]" $index) (trimPrefix "." $host) true) -}}{{- end -}}{{- end -}}
{{- range $label, $_ := .Values.commonLabels -}}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh|ragline)/" $label -}}{{- printf "\n- commonLabels: %s is the chart's own: choose another label" $label -}}{{- end -}}
{{- end -}}
{{- $alerts := list -}}
{{- range .Files.Get "alerts.yaml" | fromYamlArray -}}{{- $alerts = append $alerts .alert -}}{{- end -}}
{{- range .Values.prometheusRule.leaveOut -}}
{{- if not (has . $alerts) -}}{{- printf "\n- prometheusRule.leaveOut: %q is none: choose from %s" . (join ", " $alerts) -}}{{- end -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
{{- range $index, $parent := .Values.httpRoute.parentRefs -}}{{- if not $parent.name -}}{{- printf "\n- httpRoute.parentRefs[%d].name: the name of the Gateway is needed" $index -}}{{- end -}}{{- end -}}
{{- $units := dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0 -}}
{{- if lt (mulf (regexFind "^[0-9]+" .Values.httpRoute.timeout | float64) (get $units (regexFind "[a-z]+$" .Values.httpRoute.timeout))) (float64 .Values.deadlineSeconds) -}}
{{- printf "\n- httpRoute.timeout: %s ends streams before deadlineSeconds, %v: raise it" .Values.httpRoute.timeout .Values.deadlineSeconds -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.keys.enabled) .Values.keys.existingSecret -}}{{- printf "\n- keys.enabled: is false, and keys.existingSecret is given: leave one of them out" -}}{{- end -}}
{{- if not (or .Values.image.registry .Values.image.local .Values.mirror) -}}
{{- printf "\n- image.registry: empty: use a release's registry, as docs/deploy/install.md says, or image.local=true after make images" -}}
{{- end -}}
{{- if and .Values.image.local .Values.image.registry -}}{{- printf "\n- image.local: is true, and image.registry is given: leave one of them out" -}}{{- end -}}
{{- range $key, $registry := dict "image.registry" .Values.image.registry "mirror" .Values.mirror -}}
{{- if contains "://" $registry -}}{{- printf "\n- %s: %q has a scheme: such as registry.example.com/team" $key $registry -}}
{{- else if hasSuffix "/" $registry -}}{{- printf "\n- %s: %q ends with a slash: leave it out" $key $registry -}}{{- end -}}
{{- end -}}
{{- range $key, $url := dict "otlpEndpoint" .Values.otlpEndpoint "prometheus" .Values.prometheus -}}
{{- if and $url (contains "@" $url) -}}{{- printf "\n- %s: no user or password in a URL" $key -}}{{- end -}}
{{- if and $url (not (urlParse $url).host) -}}{{- printf "\n- %s: %q has no host" $key $url -}}{{- end -}}
{{- end -}}
{{- range $key, $url := dict "retrieval.store" .Values.retrieval.store "dataprep.jobs" .Values.dataprep.jobs -}}
{{- if and (contains "://" $url) (not (hasPrefix "edge:" $url)) (not (urlParse $url).host) -}}{{- printf "\n- %s: %q has no host" $key $url -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ragline.wrongNetwork" -}}
{{- range $name, $url := pick .Values.proxy "http" "https" -}}
{{- if $url -}}
{{- $parsed := urlParse $url -}}
{{- if not (has $parsed.scheme (list "http" "https")) -}}{{- printf "\n- proxy.%s: %q: write it as http://proxy.example.com:3128" $name $url -}}
{{- else if $parsed.userinfo -}}{{- printf "\n- proxy.%s: no user or password in a value: they would be in every pod's description" $name -}}
{{- else if or (not (regexMatch "^[^:/ ]+(:[0-9]+)?$|^\\[[0-9a-fA-F:]+\\](:[0-9]+)?$" $parsed.host)) (not (has $parsed.path (list "" "/"))) -}}{{- printf "\n- proxy.%s: %q: scheme, host and port alone, such as http://proxy.example.com:3128" $name $url -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- range $entry := splitList "," .Values.proxy.noProxy -}}
{{- if contains "://" $entry -}}{{- printf "\n- proxy.noProxy: %q has a scheme: hosts, suffixes as .example.com, and networks, with commas between" $entry -}}
{{- else if regexMatch "[ ;*]" (trim $entry) -}}{{- printf "\n- proxy.noProxy: %q: hosts, suffixes as .example.com, and networks, with commas between" $entry -}}{{- end -}}
{{- end -}}
{{- if and .Values.proxy.noProxy (not .Values.proxy.http) (not .Values.proxy.https) -}}{{- printf "\n- proxy.noProxy: without proxy.http and proxy.https there is no proxy: set one, or leave it out" -}}{{- end -}}
{{- $outside := .Values.networkPolicy.outside -}}
{{- $wrong := "" -}}
{{- with $outside.cidr -}}{{- $wrong = include "ragline.wrongCidr" (list "networkPolicy.outside.cidr" .) -}}{{- end -}}
{{- range $index, $cidr := $outside.cidrs -}}{{- $wrong = printf "%s%s" $wrong (include "ragline.wrongCidr" (list (printf "networkPolicy.outside.cidrs[%d]" $index) $cidr)) -}}{{- end -}}
{{- range $index, $cidr := $outside.except -}}{{- $wrong = printf "%s%s" $wrong (include "ragline.wrongCidr" (list (printf "networkPolicy.outside.except[%d]" $index) $cidr)) -}}{{- end -}}
{{- if $wrong -}}{{- $wrong -}}{{- else -}}
{{- range $network := include "ragline.outsideNetworks" . | fromJsonArray -}}
{{- range $index, $except := $outside.except -}}
{{- if or (eq $network $except) (include "ragline.within" (list $except $network)) -}}{{- printf "\n- networkPolicy.outside.except[%d]: %s leaves nothing of %s" $index $except $network -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $components := concat (keys (include "ragline.componentNames" . | fromYaml)) (list "test") -}}
{{- range $index, $rule := .Values.networkPolicy.extraEgress -}}
{{- range $rule.components -}}{{- if not (has . $components) -}}{{- printf "\n- networkPolicy.extraEgress[%d].components: %q is none: choose from %s" $index . ($components | sortAlpha | join ", ") -}}{{- end -}}{{- end -}}
{{- range $peer := $rule.to -}}{{- with $peer.ipBlock -}}{{- include "ragline.wrongCidr" (list (printf "networkPolicy.extraEgress[%d].to.ipBlock.cidr" $index) .cidr) -}}{{- end -}}{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.meshNamespace (not .Values.networkPolicy.mesh) -}}{{- printf "\n- networkPolicy.mesh: meshNamespace is given and it is empty: istio or linkerd" -}}{{- end -}}
{{- if and .Values.trustBundle.configMap .Values.trustBundle.secret -}}{{- printf "\n- trustBundle: a configMap or a secret, not both" -}}{{- end -}}
{{- if and .Values.proxy.links (not .Values.proxy.http) (not .Values.proxy.https) -}}{{- printf "\n- proxy.links: needs proxy.https or proxy.http" -}}{{- end -}}
{{- range $key, $peers := dict "gatewayFrom" .Values.networkPolicy.gatewayFrom "metricsFrom" .Values.networkPolicy.metricsFrom -}}
{{- range $index, $peer := $peers -}}
{{- if and $peer.ipBlock (or $peer.podSelector $peer.namespaceSelector) -}}{{- printf "\n- networkPolicy.%s[%d]: ipBlock, or selectors, not both" $key $index -}}{{- end -}}
{{- with $peer.ipBlock -}}{{- include "ragline.wrongCidr" (list (printf "networkPolicy.%s[%d].ipBlock.cidr" $key $index) .cidr) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* (key, cidr) */}}
{{- define "ragline.wrongCidr" -}}
{{- $cidr := index . 1 -}}
{{- $four := regexMatch "^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])/(3[0-2]|[12]?[0-9])$" $cidr -}}
{{- $six := and (regexMatch "^[0-9a-fA-F:]*:[0-9a-fA-F:]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9])$" $cidr) (not (contains ":::" $cidr)) -}}
{{- if not (or $four $six) -}}{{- printf "\n- %s: %q is no network: such as 10.0.0.0/8 or fd00::/8" (index . 0) $cidr -}}{{- end -}}
{{- end -}}
