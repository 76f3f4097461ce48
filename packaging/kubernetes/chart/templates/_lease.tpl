{{- define "appcred.lease" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create{{ if gt (int .Values.shards) 1 }}, list{{ end }}]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [appcred{{ range $shard := untilStep 1 (int .Values.shards) 1 }}, appcred-{{ $shard }}{{ end }}]
  verbs: [get, update]
{{- end }}
