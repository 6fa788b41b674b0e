{{/* Objects that the API and the proxy have in common. Each takes the dict of _names.tpl. */}}

{{- define "oriel.image" -}}
{{- if .values.image.digest -}}
{{- printf "%s@%s" .values.image.repository .values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .values.image.repository (default .root.Chart.AppVersion .values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The grace period; `drain` is the number of seconds that the program drains. */}}
{{- define "oriel.gracePeriod" -}}
{{- $least := add .values.preStopSeconds .drain 15 -}}
{{- $given := .values.terminationGracePeriodSeconds -}}
{{- if kindIs "invalid" $given -}}
{{- $least -}}
{{- else if lt (int64 $given) $least -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d: give at least %d, which is preStopSeconds + %s + 15" .name (int64 $given) $least .drainKey) -}}
{{- else -}}
{{- int64 $given -}}
{{- end -}}
{{- end -}}

{{/* The common part of a pod: `drain`, `drainKey`, and `toml` for its checksum. */}}
{{- define "oriel.podMetadata" -}}
labels:
  {{- include "oriel.selector" . | nindent 2 }}
  {{- with .values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/config: {{ sha256sum .toml }}
  {{- with .values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "oriel.podSettings" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
automountServiceAccountToken: false
# Variables of Services, such as ORIEL_PROXY_PORT, would be read as configuration.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "oriel.gracePeriod" . }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $selector := dict "matchLabels" (include "oriel.selector" . | fromYaml) }}
  {{- range .values.topologySpreadConstraints }}
  {{- list (merge (dict "labelSelector" $selector) .) | toYaml | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "oriel.containerSettings" -}}
image: {{ include "oriel.image" . | quote }}
imagePullPolicy: {{ .values.image.pullPolicy }}
{{- with .values.command }}
command:
  {{- toYaml . | nindent 2 }}
{{- end }}
args: ["--config", "/etc/oriel/{{ .name }}.toml"]
lifecycle:
  preStop:
    sleep:
      seconds: {{ int64 .values.preStopSeconds }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml .values.resources | nindent 2 }}
{{- end -}}

{{/* The probes, at the admin listener. */}}
{{- define "oriel.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 1
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- define "oriel.volumeMounts" -}}
- { name: config, mountPath: /etc/oriel, readOnly: true }
- { name: secrets, mountPath: /run/secrets/oriel, readOnly: true }
{{- if .values.tls.existingSecret }}
- { name: tls, mountPath: /run/secrets/oriel-tls, readOnly: true }
{{- end }}
{{- with .values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "oriel.volumes" -}}
- name: config
  configMap:
    name: {{ include "oriel.component" . }}
- name: secrets
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- range $key, $reference := .values.secrets }}
      {{- if $reference }}
      - secret:
          name: {{ $reference.name }}
          items:
            - { key: {{ $reference.key | quote }}, path: {{ $key | quote }} }
      {{- end }}
      {{- else }}
      []
      {{- end }}
{{- with .values.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 288 # 0440
{{- end }}
{{- with .values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "oriel.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "oriel.metadata" . | nindent 2 }}
data:
  {{ .name }}.toml: |
    {{- .toml | nindent 4 }}
{{- end -}}

{{/* `url` is the public address, `service` and `port` are what it leads to, `key` names the value with the address. */}}
{{- define "oriel.ingress" -}}
{{- $url := required (printf "%s is missing: the Ingress needs its host" .key) .url | urlParse }}
{{- $host := regexReplaceAll ":[0-9]+$" $url.host "" }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "oriel.metadata" (merge (dict "annotations" .values.ingress.annotations) .) | nindent 2 }}
spec:
  {{- with .values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .values.ingress.tlsSecret }}
  tls:
    - hosts: [{{ $host | quote }}]
      secretName: {{ . }}
  {{- end }}
  rules:
    - host: {{ $host | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ .service }}
                port:
                  number: {{ .port }}
{{- end -}}

{{- define "oriel.httpRoute" -}}
{{- $url := required (printf "%s is missing: the HTTPRoute needs its host" .key) .url | urlParse }}
{{- $route := .values.httpRoute }}
{{- if not $route.parentRefs }}
{{- fail (printf "%s.httpRoute.parentRefs is empty: name the Gateway" .name) }}
{{- end }}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "oriel.metadata" (merge (dict "annotations" $route.annotations) .) | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml $route.parentRefs | nindent 4 }}
  hostnames: [{{ regexReplaceAll ":[0-9]+$" $url.host "" | quote }}]
  rules:
    - matches:
        - path: { type: PathPrefix, value: / }
      {{- with $route.timeouts }}
      timeouts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      backendRefs:
        - name: {{ .service }}
          port: {{ .port }}
{{- end -}}

{{- define "oriel.podDisruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "oriel.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "oriel.selector" . | nindent 6 }}
{{- end -}}

{{- define "oriel.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "oriel.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "oriel.component" . }}
  minReplicas: {{ int64 .values.autoscaling.minReplicas }}
  maxReplicas: {{ int64 .values.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int64 .values.autoscaling.targetCPUUtilizationPercentage }}
{{- end -}}

{{/* `rule` is the rule for incoming connections of clients. */}}
{{- define "oriel.networkPolicy" -}}
{{- $ingress := list .rule -}}
{{- with .values.networkPolicy.metricsFrom -}}
{{- $ingress = append $ingress (dict "from" . "ports" (list (dict "port" (include "oriel.port" $.values.config.admin.listen | atoi)))) -}}
{{- end -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "oriel.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "oriel.selector" . | nindent 6 }}
  policyTypes: [Ingress{{ if .values.networkPolicy.egress }}, Egress{{ end }}]
  ingress:
    {{- toYaml $ingress | nindent 4 }}
  {{- with .values.networkPolicy.egress }}
  egress:
    - ports:
        - { port: 53, protocol: UDP }
        - { port: 53, protocol: TCP }
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* For metrics: the admin listener is never part of a Service that is reached from outside. */}}
{{- define "oriel.adminService" -}}
apiVersion: v1
kind: Service
metadata:
  {{- include "oriel.metadata" (merge (dict "suffix" "-admin" "labels" (dict "oriel/metrics" .name)) .) | nindent 2 }}
spec:
  clusterIP: None
  selector:
    {{- include "oriel.selector" . | nindent 4 }}
  ports:
    - name: admin
      port: {{ include "oriel.port" .values.config.admin.listen }}
      targetPort: admin
{{- end -}}

{{- define "oriel.serviceMonitor" -}}
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "oriel.metadata" (merge (dict "labels" .values.serviceMonitor.labels) .) | nindent 2 }}
spec:
  selector:
    matchLabels:
      {{- include "oriel.selector" . | nindent 6 }}
      oriel/metrics: {{ .name }}
  endpoints:
    - port: admin
      path: /metrics
      interval: {{ .values.serviceMonitor.interval }}
      relabelings:
        # The job name that alerts and dashboards expect.
        - { targetLabel: job, replacement: oriel-{{ .name }} }
{{- end -}}
