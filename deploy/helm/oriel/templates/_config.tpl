{{/*
The configuration files. Values become TOML; secrets become `…_file` keys that name mounted files.
*/}}

{{/* The port of an address such as 0.0.0.0:6080 or [::]:6080. */}}
{{- define "oriel.port" -}}
{{- regexFind "[0-9]+$" . -}}
{{- end -}}

{{/* Makes integers of whole numbers in place. Values are read as floats, which TOML would show as 30.0. Takes a dict or list. */}}
{{- define "oriel.integers" -}}
{{- $table := . -}}
{{- if kindIs "map" . -}}
  {{- range $key, $value := . -}}
    {{- if kindIs "float64" $value -}}
      {{- if eq $value (floor $value) -}}{{- $_ := set $table $key (int64 $value) -}}{{- end -}}
    {{- else -}}
      {{- include "oriel.integers" $value -}}
    {{- end -}}
  {{- end -}}
{{- else if kindIs "slice" . -}}
  {{- range . -}}{{- include "oriel.integers" . -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails if a secret stands in the values. Takes a dict: value, path (its place in the values), secrets (the key that takes it). */}}
{{- define "oriel.refuseSecrets" -}}
{{- $here := . -}}
{{- $secret := list "password" "token" "application_credential_secret" "resume_key" -}}
{{- if kindIs "map" .value -}}
  {{- range $key, $value := .value -}}
    {{- $path := printf "%s.%s" $here.path $key -}}
    {{- if and (has $key $secret) (kindIs "string" $value) -}}
      {{- fail (printf "%s is a secret: put it into a Secret, and name that in %s" $path $here.secrets) -}}
    {{- end -}}
    {{- include "oriel.refuseSecrets" (dict "value" $value "path" $path "secrets" $here.secrets) -}}
  {{- end -}}
{{- else if kindIs "slice" .value -}}
  {{- range $index, $value := .value -}}
    {{- include "oriel.refuseSecrets" (dict "value" $value "path" (printf "%s[%d]" $here.path $index) "secrets" $here.secrets) -}}
  {{- end -}}
{{- else if kindIs "string" .value -}}
  {{- if or (contains "PRIVATE KEY-----" .value) (regexMatch "^[a-z]+://[^/@:]*:[^/@]*@" .value) -}}
    {{- fail (printf "%s contains a secret: put it into a Secret, and name that in %s" .path .secrets) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Writes `…_file` for each secret in place. Takes a dict: config, secrets (by configuration key), path (of the secrets' values). */}}
{{- define "oriel.writeSecretFiles" -}}
{{- $top := . -}}
{{- range $key, $reference := .secrets -}}
  {{- if $reference -}}
  {{- $parts := splitList "." $key -}}
  {{- $state := dict "at" $top.config -}}
  {{- range initial $parts -}}
    {{- if kindIs "slice" $state.at -}}
      {{- if ge (atoi .) (len $state.at) -}}
        {{- fail (printf "%s[%s]: the list has no element %s" $top.path $key .) -}}
      {{- end -}}
      {{- $_ := set $state "at" (index $state.at (atoi .)) -}}
    {{- else -}}
      {{- if not (index $state.at .) -}}{{- $_ := set $state.at . (dict) -}}{{- end -}}
      {{- $_ := set $state "at" (index $state.at .) -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $state.at (printf "%s_file" (last $parts)) (printf "/run/secrets/oriel/%s" $key) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* TOML of a configuration, which is changed. Takes a dict: config, secrets, path (`proxy` or `api`). */}}
{{- define "oriel.toml" -}}
{{- include "oriel.refuseSecrets" (dict "value" .config "path" (printf "%s.config" .path) "secrets" (printf "%s.secrets" .path)) -}}
{{- include "oriel.writeSecretFiles" (dict "config" .config "secrets" .secrets "path" (printf "%s.secrets" .path)) -}}
{{- include "oriel.integers" .config -}}
{{- toToml .config -}}
{{- end -}}

{{/* Whether a listener of the proxy serves native SPICE. */}}
{{- define "oriel.nativeSpice" -}}
{{- range .Values.proxy.config.listen -}}{{- if has "spice-direct" .consoles -}}true{{- end -}}{{- end -}}
{{- end -}}

{{/* Sets `tls` of a table to the mounted Secret of `tls.existingSecret`. Takes a dict: table, values (`proxy` or `api`). */}}
{{- define "oriel.certify" -}}
{{- if and .values.tls.existingSecret (not .table.tls) -}}
{{- $_ := set .table "tls" (dict "cert" "/run/secrets/oriel-tls/tls.crt" "key" "/run/secrets/oriel-tls/tls.key") -}}
{{- end -}}
{{- end -}}

{{/* `https` if the API has TLS, else `http`. */}}
{{- define "oriel.apiScheme" -}}
{{- if or .Values.api.config.tls .Values.api.tls.existingSecret -}}https{{- else -}}http{{- end -}}
{{- end -}}

{{/* Not empty if the proxies need the mounted CA of `api.tls.ca`. */}}
{{- define "oriel.apiCa" -}}
{{- $authority := .Values.proxy.config.authority -}}
{{- if and .Values.api.enabled .Values.api.tls.ca.name (not $authority.endpoint) (not $authority.cafile) -}}true{{- end -}}
{{- end -}}

{{- define "oriel.proxyToml" -}}
{{- $proxy := .Values.proxy -}}
{{- $config := deepCopy $proxy.config -}}
{{- $authority := $config.authority -}}
{{- if not $authority.kind -}}{{- $_ := set $authority "kind" "oriel" -}}{{- end -}}
{{- if not (or $authority.endpoint (eq $authority.kind "nova")) -}}
  {{- if not .Values.api.enabled -}}
    {{- fail "proxy.config.authority: without the API of this release, set kind and endpoint" -}}
  {{- end -}}
  {{- $api := include "oriel.component" (dict "root" . "name" "api") -}}
  {{- $_ := set $authority "endpoint" (printf "%s://%s:%s/v2.1" (include "oriel.apiScheme" .) $api (include "oriel.apiServicePort" .)) -}}
{{- end -}}
{{- $first := first $config.listen -}}
{{- if not $first.base_url -}}{{- $_ := set $first "base_url" $proxy.publicUrl -}}{{- end -}}
{{- if include "oriel.apiCa" . -}}{{- $_ := set $authority "cafile" "/run/secrets/oriel-api-ca/ca.crt" -}}{{- end -}}
{{- range $config.listen -}}{{- include "oriel.certify" (dict "table" . "values" $proxy) -}}{{- end -}}
{{- with $config.spice -}}
  {{- if .tls_listen -}}{{- include "oriel.certify" (dict "table" . "values" $proxy) -}}{{- end -}}
{{- end -}}
{{- include "oriel.toml" (dict "config" $config "secrets" $proxy.secrets "path" "proxy") -}}
{{- end -}}

{{- define "oriel.apiServicePort" -}}
{{- default (include "oriel.port" .Values.api.config.listen) (.Values.api.service.port | toString | replace "<nil>" "") -}}
{{- end -}}

{{/* Where the API's tokens are: `sqlite` if the values name no other store. */}}
{{- define "oriel.store" -}}
{{- $tokens := default (dict) .Values.api.config.tokens -}}
{{- if or (index .Values.api.secrets "tokens.store") $tokens.store_file -}}server
{{- else if and $tokens.store (not (hasPrefix "sqlite:" $tokens.store)) -}}server
{{- else -}}sqlite
{{- end -}}
{{- end -}}

{{- define "oriel.apiToml" -}}
{{- $api := .Values.api -}}
{{- $config := deepCopy $api.config -}}
{{- if and $api.publicUrl (not $config.public_url) -}}{{- $_ := set $config "public_url" $api.publicUrl -}}{{- end -}}
{{- if eq (include "oriel.store" .) "sqlite" -}}
  {{- $tokens := default (dict) $config.tokens -}}
  {{- if not $tokens.store -}}{{- $_ := set $tokens "store" "sqlite:/var/lib/oriel/oriel.db" -}}{{- end -}}
  {{- $_ := set $config "tokens" $tokens -}}
{{- end -}}
{{- include "oriel.certify" (dict "table" $config "values" $api) -}}
{{- if .Values.proxy.enabled -}}
  {{- include "oriel.consoleUrls" (dict "root" . "config" $config) -}}
  {{- include "oriel.screenshotUrl" (dict "root" . "config" $config) -}}
{{- end -}}
{{- include "oriel.toml" (dict "config" $config "secrets" $api.secrets "path" "api") -}}
{{- end -}}

{{/* Fills in `consoles` from the listeners of the proxy: base URLs of the first one, and `enabled = false` for types that none serves. */}}
{{- define "oriel.consoleUrls" -}}
{{- $proxy := .root.Values.proxy -}}
{{- $listen := $proxy.config.listen -}}
{{- $public := first $listen -}}
{{- $pages := dict "novnc" "vnc_lite.html" "spice-html5" "spice_auto.html" "spice-direct" "nova" "serial" "" "webmks" "webmks.html" -}}
{{- $consoles := default (dict) .config.consoles -}}
{{- $_ := set .config "consoles" $consoles -}}
{{- range $type, $page := $pages -}}
  {{- $console := default (dict) (index $consoles $type) -}}
  {{- $_ := set $consoles $type $console -}}
  {{- $served := false -}}
  {{- range $listen -}}{{- if has $type .consoles -}}{{- $served = true -}}{{- end -}}{{- end -}}
  {{- if not (hasKey $console "enabled") -}}{{- $_ := set $console "enabled" $served -}}{{- end -}}
  {{- if and $console.enabled (not $console.base_url) -}}
    {{- if not (has $type $public.consoles) -}}
      {{- fail (printf "api.config.consoles.%s.base_url is missing: proxy.publicUrl leads to the first listener, which does not serve %s" $type $type) -}}
    {{- end -}}
    {{- $prefix := ternary (printf "%s/" $type) "" (gt (len $public.consoles) 1) -}}
    {{- $origin := trimSuffix "/" $proxy.publicUrl -}}
    {{- if eq $type "serial" -}}{{- $origin = regexReplaceAll "^http" $origin "ws" -}}{{- end -}}
    {{- $_ := set $console "base_url" (printf "%s/%s%s" $origin $prefix $page) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Fills in `screenshots.proxy_url`: the Service of the proxy, since pods may not reach the public address. A first listener with
TLS has a certificate for the public name alone, so the API then uses that name.
*/}}
{{- define "oriel.screenshotUrl" -}}
{{- $proxy := .root.Values.proxy -}}
{{- $first := first $proxy.config.listen -}}
{{- $novnc := .config.consoles.novnc -}}
{{- $screenshots := default (dict) .config.screenshots -}}
{{- $plain := not (or $first.tls $proxy.tls.existingSecret) -}}
{{- if and $plain $novnc.enabled (has "novnc" $first.consoles) (not $screenshots.proxy_url) (ne (default "oriel" $proxy.config.authority.kind) "nova") -}}
  {{- $service := include "oriel.component" (dict "root" .root "name" "proxy") -}}
  {{- $prefix := ternary "novnc/" "" (gt (len $first.consoles) 1) -}}
  {{- $_ := set $screenshots "proxy_url" (printf "http://%s:%s/%svnc_lite.html" $service (include "oriel.publicPort" .root) $prefix) -}}
  {{- $_ := set .config "screenshots" $screenshots -}}
{{- end -}}
{{- end -}}

{{/* The ports of native SPICE as a YAML list of name and port. Empty if no listener serves `spice-direct`. */}}
{{- define "oriel.spicePorts" -}}
{{- $ports := list -}}
{{- if include "oriel.nativeSpice" . -}}
  {{- $spice := default (dict) .Values.proxy.config.spice -}}
  {{- if not (or $spice.listen $spice.tls_listen) -}}
    {{- fail "proxy.config.spice: a listener serves spice-direct, so set listen or tls_listen, such as 0.0.0.0:5901" -}}
  {{- end -}}
  {{- with $spice.listen -}}{{- $ports = append $ports (dict "name" "spice" "port" (include "oriel.port" . | atoi)) -}}{{- end -}}
  {{- with $spice.tls_listen -}}{{- $ports = append $ports (dict "name" "spice-tls" "port" (include "oriel.port" . | atoi)) -}}{{- end -}}
{{- end -}}
{{- toYaml $ports -}}
{{- end -}}

{{/* The Service port of the first listener. */}}
{{- define "oriel.publicPort" -}}
{{- $port := include "oriel.port" (first .Values.proxy.config.listen).address -}}
{{- default $port (index .Values.proxy.service.ports $port) | int64 -}}
{{- end -}}
