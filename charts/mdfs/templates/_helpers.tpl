{{- define "mdfs.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- printf "%s-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s-operator" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "mdfs.selector" -}}
app.kubernetes.io/name: mdfs-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mdfs.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "mdfs.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "mdfs.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mdfs.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "mdfs.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What it may do where its clusters are. Each rule says what for. */}}
{{- define "mdfs.rules" -}}
# Read clusters; set the finalizer of those whose data is to go with them.
- apiGroups: [mdfs.io]
  resources: [mdfsclusters]
  verbs: [get, list, watch, patch]
- apiGroups: [mdfs.io]
  resources: [mdfsclusters/status]
  verbs: [patch]
# Own what it makes, where the API server asks whether it may.
- apiGroups: [mdfs.io]
  resources: [mdfsclusters/finalizers]
  verbs: [update]
# See pods; restart them one at a time.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
# Grow volumes, mark them, and delete those of retired disks or of clusters whose deletion was confirmed.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, patch, delete]
# Addresses and identities of pods.
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, create, patch, delete]
# Make the Secrets of a cluster and read them by name; it cannot list Secrets, nor change any.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, delete]
# Masters and workers.
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
# Who may be evicted.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, create, patch, delete]
# Who may connect.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, create, patch, delete]
# Where metrics are, if there is a Prometheus operator.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, create, patch, delete]
# Tell what happens.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
