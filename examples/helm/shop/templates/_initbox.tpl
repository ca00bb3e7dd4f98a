{{/* What every container of initbox has. */}}
{{- define "initbox.container" -}}
terminationMessagePolicy: FallbackToLogsOnError
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
resources: {{- toYaml .Values.initbox.resources | nindent 2 }}
{{- end }}

{{/* Brings the runtime to the volume "initbox", for containers of other images. */}}
{{- define "initbox.install" -}}
name: initbox
image: {{ .Values.initbox.image }}
imagePullPolicy: {{ .Values.initbox.pullPolicy }}
args: [install, /shared]
{{ include "initbox.container" . }}
volumeMounts: [{ name: initbox, mountPath: /shared }]
{{- end }}

{{/* The migration, in the application's own image: once for each of its tags, by one replica. */}}
{{- define "initbox.migrate" -}}
name: migrate
image: {{ include "shop.image" . }}
command:
  - /initbox/initbox
  - migrate-with-lock
  - --once={{ include "shop.image" . }}
  - --command-timeout={{ .Values.migrate.timeout }}
  - --
  {{- toYaml .Values.migrate.command | nindent 2 }}
env: {{- include "shop.env" . | nindent 2 }}
{{ include "initbox.container" . }}
volumeMounts: [{ name: initbox, mountPath: /initbox, readOnly: true }]
{{- end }}
