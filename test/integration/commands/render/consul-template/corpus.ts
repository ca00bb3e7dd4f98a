// Templates in the manner of those that Vault Agent and consul-template render in public, each with what is peculiar to it; what
// the real consul-template makes of them is in expected.json (recorded by record.ts).

export interface CorpusTemplate {
  readonly name: string;
  readonly template: string;
  /** Where this program deliberately does not do the same: what it says. */
  readonly refused?: RegExp;
  /** Where it does the same in other words: how both are read before they are compared. */
  readonly reads?: 'yaml';
}

export const corpus: readonly CorpusTemplate[] = [
  {
    name: 'text alone',
    template: `no actions at all
`,
  },
  {
    name: 'one field',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.password }}{{ end }}`,
  },
  {
    name: 'an env file',
    template: `{{- with secret "secret/data/app" -}}
export DB_USER="{{ .Data.data.username }}"
export DB_PASSWORD='{{ .Data.data.password }}'
DB_PORT={{ .Data.data.port }}
{{- end }}
`,
  },
  {
    name: 'path without data/',
    template: `{{ with secret "secret/app" }}{{ .Data.data.username }}{{ end }}`,
  },
  {
    name: 'path with slashes and blanks',
    template: `{{ with secret " /secret/data/app/ " }}{{ .Data.data.username }}{{ end }}`,
  },
  {
    name: 'kv version 1',
    template: `{{ with secret "kv1/app" }}{{ .Data.username }} {{ .Data.port }} {{ .LeaseDuration }}{{ end }}`,
  },
  {
    name: 'a version',
    template: `{{ with secret "secret/data/app?version=2" }}{{ .Data.data.password }} {{ .Data.metadata.version }}{{ end }}`,
  },
  {
    name: 'metadata',
    template: `{{ with secret "secret/data/app" }}{{ .Data.metadata.version }} {{ .Data.metadata.created_time }} {{ .Data.metadata.destroyed }}{{ end }}`,
  },
  {
    name: 'metadata of its own path',
    template: `{{ with secret "secret/metadata/app" }}{{ .Data.current_version }}{{ end }}`,
  },
  {
    name: 'database credentials',
    template: `{{- with secret "database/creds/app" -}}
postgresql://{{ .Data.username }}:{{ .Data.password }}@db:5432/orders?sslmode=disable
{{- end }}
lease {{ with secret "database/creds/app" }}{{ .LeaseID }} {{ .LeaseDuration }} {{ .Renewable }} {{ .Data.username }}{{ end }}
`,
  },
  {
    name: 'all keys',
    template: `{{ with secret "secret/data/other" }}{{ range $key, $value := .Data.data }}
{{ $key }}={{ $value }}{{ end }}{{ end }}
`,
  },
  {
    name: 'the default of the injector',
    template: `{{ with secret "kv1/other" }}{{ range $k, $v := .Data }}{{ $k }}: {{ $v }}
{{ end }}{{ end }}`,
  },
  {
    name: 'range with dot',
    template: `{{ with secret "secret/data/app" }}{{ range .Data.data.hosts }}[{{ . }}]{{ end }}{{ end }}`,
  },
  {
    name: 'range with index',
    template: `{{ with secret "secret/data/app" }}{{ range $i, $host := .Data.data.hosts }}{{ if $i }},{{ end }}{{ $i }}:{{ $host }}{{ end }}{{ end }}`,
  },
  {
    name: 'range with one variable',
    template: `{{ with secret "secret/data/app" }}{{ range $host := .Data.data.hosts }}{{ $host }};{{ end }}{{ end }}`,
  },
  {
    name: 'range over nothing',
    template: `{{ with secret "secret/data/app" }}{{ range .Data.data.none }}x{{ else }}none{{ end }}{{ range .Data.data.nothing }}x{{ else }} null{{ end }}{{ range .Data.data.absent }}x{{ else }} absent{{ end }}{{ end }}`,
  },
  {
    name: 'range of objects',
    template: `{{ with secret "secret/data/app" }}{{ range .Data.data.nested.list }}{{ .n }}/{{ $.x }}{{ end }}{{ end }}`,
    refused: /\.x of what is not there: no data is given/,
  },
  {
    name: 'range, break and continue',
    template: `{{ range $i := loop 10 }}{{ if eq $i 2 }}{{ continue }}{{ end }}{{ if gt $i 4 }}{{ break }}{{ end }}{{ $i }}{{ end }}`,
  },
  {
    name: 'range over a number',
    template: `{{ range $i := 3 }}{{ $i }}{{ end }}{{ range 2 }}x{{ end }}`,
  },
  {
    name: 'loop',
    template: `{{ range loop 3 }}{{ . }},{{ end }}{{ range loop 5 8 }}{{ . }},{{ end }}{{ range loop "2" }}{{ . }}{{ end }}`,
  },
  {
    name: 'if of a key that is missing',
    template: `{{ with secret "secret/data/app" }}{{ if .Data.data.absent }}yes{{ else }}no{{ end }}{{ if .Data.data.username }} has{{ end }}{{ end }}`,
  },
  {
    name: 'if, else if, else',
    template: `{{ with secret "secret/data/app" }}{{ if eq .Data.data.username "x" }}x{{ else if .Data.data.enabled }}enabled{{ else }}other{{ end }}{{ if .Data.data.disabled }}a{{ else if .Data.data.empty }}b{{ else }}c{{ end }}{{ end }}`,
  },
  {
    name: 'with and else',
    template: `{{ with env "LEVEL" }}level={{ . }}{{ else }}none{{ end }}{{ with env "EMPTY" }}x{{ else }} empty{{ end }}{{ with env "UNSET" }}x{{ else }} unset{{ end }}`,
  },
  {
    name: 'with, else with',
    template: `{{ with env "EMPTY" }}a{{ else with env "LEVEL" }}b{{ . }}{{ else }}c{{ end }}`,
  },
  {
    name: 'with a variable',
    template: `{{ with $x := env "LEVEL" }}{{ $x }}{{ end }}{{ with $s := secret "secret/data/app" }}{{ $s.Data.data.username }}{{ end }}`,
  },
  {
    name: 'nested secrets',
    template: `{{ with secret "secret/data/other" }}{{ $user := .Data.data.user }}{{ with secret "secret/data/app" }}{{ $user }}:{{ .Data.data.username }}{{ end }}{{ end }}`,
  },
  {
    name: 'a path from a secret',
    template: `{{ with secret "secret/data/other" }}{{ with secret (printf "secret/data/%s" .Data.data.path) }}{{ .Data.data.username }}{{ end }}{{ end }}`,
  },
  {
    name: 'a path from the environment',
    template: `{{ $path := printf "secret/data/%s" "app" }}{{ with secret $path }}{{ .Data.data.username }}{{ end }} {{ env "APP_NAME" }}`,
  },
  {
    name: 'secret as a value',
    template: `{{ $s := secret "secret/data/app" }}{{ if $s }}{{ $s.Data.data.username }}{{ end }}`,
  },
  {
    name: 'variables and assignment',
    template: `{{ $x := "a" }}{{ $y := $x }}{{ if true }}{{ $x = "b" }}{{ $y := "c" }}{{ $y }}{{ end }}{{ $x }}{{ $y }}`,
  },
  {
    name: 'variable of a loop assigned',
    template: `{{ $sum := 0 }}{{ range $i := loop 4 }}{{ $sum = add $sum $i }}{{ end }}{{ $sum }}`,
  },
  {
    name: 'dollar is the beginning',
    template: `{{ with "x" }}{{ with "y" }}{{ . }}{{ end }}{{ . }}{{ end }}`,
  },
  {
    name: 'trim left',
    template: `a  
\t {{- "b" }}  
 c`,
  },
  {
    name: 'trim right',
    template: `a  {{ "b" -}}  

  c`,
  },
  {
    name: 'trim both',
    template: `a 
 {{- "b" -}} 
 c`,
  },
  {
    name: 'minus that trims nothing',
    template: `a {{ -3 }} {{- -3 }} {{ 1 -}} b`,
  },
  {
    name: 'trim around blocks',
    template: `x
{{- if true }}
  yes
{{- else }}
  no
{{- end }}
y
{{ range $i := loop 2 -}}
  line {{ $i }}
{{ end -}}
z
`,
  },
  {
    name: 'comments',
    template: `a{{/* a comment */}}b {{- /* trimmed */ -}} c
{{/* two
lines */}}d`,
  },
  {
    name: 'an action of several lines',
    template: `{{ with secret
  "secret/data/app"
}}{{ .Data.data.username
}}{{ end }}`,
  },
  {
    name: 'raw strings',
    template: `{{ \`a "b" \\n c\` }} {{ print \`x
y\` }}`,
  },
  {
    name: 'escapes of strings',
    template: `{{ "tab\\tquote\\"back\\\\ umlaut\\u00fc hex\\x41 octal\\101 long\\U0001F600" }}`,
  },
  {
    name: 'character constants',
    template: `{{ 'a' }} {{ '\\n' }} {{ printf "%c" 'ü' }}`,
  },
  {
    name: 'numbers',
    template: `{{ 1 }} {{ -7 }} {{ +3 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 017 }} {{ 1_000 }} {{ 1.5 }} {{ 1e3 }} {{ .5 }} {{ 1e21 }} {{ 1e-7 }} {{ 123456789.0 }} {{ 1e20 }}`,
  },
  {
    name: 'booleans',
    template: `{{ true }} {{ false }} {{ not true }} {{ not "" }} {{ not 0 }}`,
  },
  {
    name: 'braces in text',
    template: `a } b }} c { d {x} \${y} {{ "{{" }}x{{ "}}" }}
`,
  },
  {
    name: 'strange delimiters in strings',
    template: `{{ print "a }} b" }}{{ print \`{{ x }}\` }}`,
  },
  {
    name: 'index by a key',
    template: `{{ with secret "secret/data/app" }}{{ index .Data.data "dashed-key" }} {{ index .Data.data.hosts 1 }} {{ index .Data.data "nested" "area" "name" }} {{ (index .Data.data "nested").zone }} {{ index .Data.data.nested.list 1 "n" }}{{ end }}`,
  },
  {
    name: 'index with a variable',
    template: `{{ $k := "username" }}{{ with secret "secret/data/app" }}{{ index .Data.data $k }}{{ end }}`,
  },
  {
    name: 'index of a text',
    template: `{{ index "abc" 1 }}`,
  },
  {
    name: 'slice',
    template: `{{ slice "abcdef" 1 3 }} {{ slice "abcdef" 4 }} {{ with secret "secret/data/app" }}{{ slice .Data.data.hosts 1 }}{{ end }}`,
  },
  {
    name: 'len',
    template: `{{ len "abc" }} {{ len "ü" }} {{ with secret "secret/data/app" }}{{ len .Data.data.hosts }} {{ len .Data.data.nested }}{{ end }}`,
  },
  {
    name: 'comparisons',
    template: `{{ eq 1 1 }} {{ eq "a" "b" "a" }} {{ ne "a" "b" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt "b" "a" }} {{ ge 1.5 2.5 }} {{ lt "Z" "a" }} {{ eq true true }} {{ eq 0x10 16 }}`,
  },
  {
    name: 'comparison with a number of Vault',
    template: `{{ with secret "secret/data/app" }}{{ eq .Data.data.port "5432" }} {{ if eq .Data.data.enabled true }}on{{ end }}{{ end }}`,
  },
  {
    name: 'comparison with what is missing',
    template: `{{ with secret "secret/data/app" }}{{ eq .Data.data.username "shop" }}{{ eq .Data.data.absent "x" }}{{ ne .Data.data.absent "x" }}{{ end }}{{ eq (env "UNSET") "" }}{{ eq (env "UNSET") "x" }}`,
  },
  {
    name: 'and, or, not',
    template: `{{ and true "x" }} {{ and "" "x" }}| {{ or "" "d" }} {{ or "a" "d" }} {{ and 1 0 2 }} {{ or 0 "" 3 }} {{ not (and true false) }}`,
  },
  {
    name: 'or with a default',
    template: `{{ with secret "secret/data/app" }}{{ or .Data.data.absent "default" }} {{ .Data.data.empty | or "piped" }}{{ end }}`,
  },
  {
    name: 'and does not look further',
    template: `{{ if and (env "UNSET") (mustEnv "UNSET") }}x{{ else }}y{{ end }}{{ if or true (mustEnv "UNSET") }}z{{ end }}`,
  },
  {
    name: 'pipes',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.username | toUpper | printf "%s-%s" "x" }} {{ "a,b" | split "," | join "+" }}{{ end }}`,
  },
  {
    name: 'parentheses',
    template: `{{ print (len (split "," "a,b,c")) }} {{ (printf "%s" "x") }} {{ ("lit" | toUpper) }}`,
  },
  {
    name: 'print',
    template: `{{ print "a" 1 2 "b" 3 }} {{ print 1 2 }} {{ print true false }} {{ print }}|{{ println "a" 1 }}{{ print "a" "b" }}`,
  },
  {
    name: 'printf',
    template: `{{ printf "%s|%d|%v|%q|%t|%%|%5d|%-5d|%05d|%x|%X|%+d" "s" 1 "v" "q\\"\\n" true 42 42 42 255 255 7 }}`,
  },
  {
    name: 'printf of floats',
    template: `{{ printf "%f %.2f %8.3f %e %g %v" 1.5 2.345 3.14159 12345.678 0.00001 1e6 }}`,
  },
  {
    name: 'printf of texts',
    template: `{{ printf "%10s|%-10s|%.2s|%x|%X|%v|%q" "ab" "ab" "abc" "hi" "hi" "v" "ü\\u00a0\\u2028" }}`,
  },
  {
    name: 'printf of values',
    template: `{{ with secret "secret/data/app" }}{{ printf "%s %v %s %v %v" .Data.data.port .Data.data.enabled .Data.data.username .Data.data.hosts .Data.data.nested.area }}{{ end }}`,
  },
  {
    name: 'printf of runes',
    template: `{{ printf "%c %U %d" 0x1F600 0x1F600 0x1F600 }} {{ printf "%o %b %#x % d" 8 5 255 3 }}`,
  },
  {
    name: 'html, js and urlquery',
    template: `{{ html "<a href=\\"x\\">&'" }} {{ js "it's <\\"x\\"> & = \\\\ \\n" }} {{ urlquery "a b&c=d/é~!'()*" }}`,
  },
  {
    name: 'password in a URL',
    template: `{{ with secret "secret/data/app" }}postgres://{{ .Data.data.username }}:{{ .Data.data.password | urlquery }}@db{{ end }}`,
  },
  {
    name: 'env and its defaults',
    template: `{{ env "APP_NAME" }} {{ envOrDefault "UNSET" "d" }} {{ envOrDefault "EMPTY" "d" }}| {{ mustEnv "LEVEL" }} {{ or (env "UNSET") "other" }}`,
  },
  {
    name: 'an empty variable',
    template: `[{{ env "EMPTY" }}]`,
  },
  {
    name: 'a variable that is not set',
    template: `[{{ env "UNSET" }}]`,
    refused: /the variable UNSET is not set/,
  },
  {
    name: 'mustEnv without it',
    template: `{{ mustEnv "UNSET" }}`,
  },
  {
    name: 'a key that is missing',
    template: `{{ with secret "secret/data/app" }}[{{ .Data.data.absent }}]{{ end }}`,
    refused: /there is no "absent"/,
  },
  {
    name: 'null put out',
    template: `{{ with secret "secret/data/app" }}[{{ .Data.data.nothing }}]{{ end }}`,
    refused: /there is no value here/,
  },
  {
    name: 'a field below what is missing',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.absent.x }}{{ end }}`,
  },
  {
    name: 'a field of a text',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.username.x }}{{ end }}`,
  },
  {
    name: 'no such field of the answer',
    template: `{{ with secret "secret/data/app" }}{{ .Foo }}{{ end }}`,
  },
  {
    name: 'values as they are',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.port }} {{ .Data.data.ratio }} {{ .Data.data.large }} {{ .Data.data.enabled }} {{ .Data.data.hosts }} {{ .Data.data.nested }} {{ .Data.data.none }}{{ end }}`,
  },
  {
    name: 'umlauts',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.umlaut }} {{ toUpper .Data.data.umlaut }} {{ toLower "ÀÉ" }} {{ len .Data.data.umlaut }}{{ end }} grüße — ✓
`,
  },
  {
    name: 'base64Decode',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.encoded | base64Decode }}{{ base64Decode "aGk=" }}{{ end }}`,
  },
  {
    name: 'base64Decode of bytes',
    template: `{{ with secret "secret/data/app" }}{{ base64Decode .Data.data.binary }}{{ end }}`,
  },
  {
    name: 'base64Decode of what is none',
    template: `{{ base64Decode "a b" }}`,
  },
  {
    name: 'base64Decode over lines',
    template: `{{ base64Decode "aGVs\\nbG8=\\n" }}`,
  },
  {
    name: 'base64Encode',
    template: `{{ base64Encode "grüße" }} {{ "a" | base64Encode }} {{ base64URLEncode "~~~???>>>" }} {{ base64URLDecode "fn5-Pz8_Pj4-" }}`,
  },
  {
    name: 'bytes there and back',
    template: `{{ with secret "secret/data/app" }}{{ base64Encode (base64Decode .Data.data.binary) }}{{ end }}`,
  },
  {
    name: 'toJSON',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data | toJSON }}{{ end }}`,
  },
  {
    name: 'toJSONPretty',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data | toJSONPretty }}{{ end }}`,
  },
  {
    name: 'toJSON without escapes',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.password | toUnescapedJSON }} {{ .Data.data.nested | toUnescapedJSONPretty }}{{ end }}`,
  },
  {
    name: 'toJSON of one value',
    template: `{{ toJSON "a\\"<b>\\u2028\\t\\u0001" }} {{ toJSON 5 }} {{ toJSON 1.5 }} {{ toJSON true }} {{ split "," "a,b" | toJSON }} {{ with secret "secret/data/app" }}{{ toJSON .Data.data.nothing }}{{ toJSON .Data.data.none }}{{ end }}`,
  },
  {
    name: 'parseJSON',
    template: `{{ with secret "secret/data/app" }}{{ with $j := parseJSON .Data.data.json }}{{ $j.url }} {{ $j.count }} {{ $j.big }} {{ $j.small }} {{ $j.huge }} {{ $j.list }} {{ index $j.list 1 }} {{ $j.in.k }} {{ range $k, $v := $j }}{{ $k }};{{ end }}{{ end }}{{ end }}`,
  },
  {
    name: 'parseJSON there and back',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.json | parseJSON | toJSON }}{{ end }}`,
  },
  {
    name: 'parseJSON of nothing',
    template: `{{ range parseJSON "" }}x{{ else }}empty{{ end }}{{ parseJSON "[1,2]" }}{{ parseJSON "\\"t\\"" }}`,
  },
  {
    name: 'parseJSON of what is none',
    template: `{{ parseJSON "{a" }}`,
  },
  {
    name: 'comparison with a number of parseJSON',
    template: `{{ $j := parseJSON \`{"n":3}\` }}{{ eq $j.n 3.0 }}{{ if gt $j.n 2.5 }}more{{ end }}`,
  },
  {
    name: 'comparison of a float with a whole number',
    template: `{{ $j := parseJSON \`{"n":3}\` }}{{ eq $j.n 3 }}`,
  },
  {
    name: 'parseYAML',
    template: `{{ $y := parseYAML "a: 1\\nb:\\n  - x\\n  - y\\nc: {d: true}" }}{{ $y.a }} {{ index $y.b 1 }} {{ $y.c.d }}`,
    refused: /parseYAML is not supported/,
  },
  {
    name: 'toYAML',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data | toYAML }}{{ end }}`,
    reads: 'yaml',
  },
  {
    name: 'toYAML of a list',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.hosts | toYAML }}{{ end }}`,
    reads: 'yaml',
  },
  {
    name: 'toYAML indented',
    template: `a:
{{ with secret "secret/data/app" }}{{ .Data.data.nested | toYAML | indent 2 }}{{ end }}
`,
    reads: 'yaml',
  },
  {
    name: 'indent',
    template: `{{ with secret "secret/data/app" }}{{ .Data.data.multi | indent 4 }}|{{ "x" | indent 2 }}|{{ indent 0 "y" }}|{{ indent 2 "\\n\\na\\n" }}{{ end }}`,
  },
  {
    name: 'a certificate in YAML',
    template: `{{- with secret "secret/data/app" }}
tls:
  crt: |
{{ .Data.data.pem | trimSpace | indent 4 }}
{{- end }}
`,
  },
  {
    name: 'trims',
    template: `[{{ trim "xy" "xxaxyy" }}] [{{ trimPrefix "a" "aab" }}] [{{ trimSuffix "b" "abb" }}] [{{ trimSpace " \\t\\n a b \\n" }}] [{{ " x " | trimSpace }}]`,
  },
  {
    name: 'split and join',
    template: `{{ env "LIST" | split "," }} {{ range env "LIST" | split "," }}<{{ . | trimSpace }}>{{ end }} {{ join "-" (split "," "a,b") }} {{ split "," "" }} {{ len (split "," " ") }} {{ split "" "abc" }}`,
  },
  {
    name: 'splitToMap',
    template: `{{ range $k, $v := splitToMap "," ":" "a:1, b: 2 ,c,d:e:f" }}{{ $k }}={{ $v }};{{ end }}`,
  },
  {
    name: 'replaceAll',
    template: `{{ "a.b.c" | replaceAll "." "_" }} {{ replaceAll "b" "$&" "abc" }} {{ replaceAll "" "-" "ab" }}`,
  },
  {
    name: 'regexReplaceAll',
    template: `{{ "foo-123-bar" | regexReplaceAll "[0-9]+" "N" }} {{ regexReplaceAll "(\\\\w+)@(\\\\w+)" "$2 at \${1}" "me@home you@work" }} {{ regexReplaceAll "(?i)ABC" "x" "abcABC" }} {{ regexReplaceAll "(?P<a>x)(y)?" "[\${a}$2$9]" "xyx" }}`,
  },
  {
    name: 'regexMatch',
    template: `{{ regexMatch "^a.*z$" "abcz" }} {{ regexMatch "\\\\d{3}" "12" }} {{ if "prod-1" | regexMatch "^prod" }}p{{ end }} {{ regexMatch "[[:alpha:]]+" "9" }} {{ regexMatch "a{2}" "baab" }} {{ regexMatch "^[^\\\\s]+$" "a b" }}`,
  },
  {
    name: 'contains',
    template: `{{ contains "b" "abc" }} {{ if "abc" | contains "x" }}y{{ else }}n{{ end }} {{ with secret "secret/data/app" }}{{ contains "a.example" .Data.data.hosts }}{{ in .Data.data.hosts "zz" }}{{ end }} {{ in "abc" "c" }}`,
  },
  {
    name: 'case',
    template: `{{ toUpper "abß" }} {{ toLower "ABC" }} {{ toTitle "hello wORLD it's foo-bar foo_bar" }}`,
  },
  {
    name: 'parse',
    template: `{{ parseInt "42" | add 1 }} {{ parseBool "true" }} {{ parseBool "" }} {{ parseFloat "1.50" }} {{ parseUint "7" }} {{ parseInt "" }} {{ if parseBool (env "TRUE") }}on{{ end }} {{ add 1 (parseInt (env "NUMBER")) }}`,
  },
  {
    name: 'parseInt of what is none',
    template: `{{ parseInt "x" }}`,
  },
  {
    name: 'arithmetic',
    template: `{{ add 1 2 }} {{ subtract 3 10 }} {{ multiply 2 3 }} {{ divide 3 10 }} {{ modulo 3 10 }} {{ minimum 3 4 }} {{ maximum 3 4 }} {{ 10 | subtract 4 }} {{ add 1.5 1 }} {{ divide 4.0 1 }} {{ divide 3 -10 }} {{ modulo 3 -10 }}`,
  },
  {
    name: 'arithmetic with a text',
    template: `{{ add 1 "2" }}`,
  },
  {
    name: 'hashes',
    template: `{{ sha256Hex "abc" }} {{ md5sum "abc" }} {{ hmacSHA256Hex "message" "key" }}`,
  },
  {
    name: 'define and template',
    template: `{{ define "line" }}<{{ . }}>{{ end }}{{ template "line" "a" }}{{ range loop 2 }}{{ template "line" . }}{{ end }}{{ template "line" }}`,
    refused: /there is no value/,
  },
  {
    name: 'define with a map',
    template: `{{ define "db" }}user={{ .username }} {{ $.port }}{{ end -}}
{{ with secret "secret/data/app" }}{{ template "db" .Data.data }}{{ end }}`,
  },
  {
    name: 'block',
    template: `{{ block "b" "x" }}[{{ . }}]{{ end }}{{ template "b" "y" }}`,
  },
  {
    name: 'executeTemplate',
    template: `{{ define "t" }}a
{{ . }}{{ end }}{{ executeTemplate "t" "b" | indent 2 }}`,
  },
  {
    name: 'consul keys',
    template: `{{ key "app/level" }} {{ keyOrDefault "app/level" "d" }} {{ keyOrDefault "app/none" "d" }} {{ if keyExists "app/level" }}is{{ end }}{{ if keyExists "app/none" }}is{{ else }} not{{ end }} [{{ key "app/empty" }}] {{ key "/app/text" }}`,
  },
  {
    name: 'a file',
    template: `{{ file "FILE" }}|{{ file "FILE" | trimSpace | toUpper }}`,
  },
  {
    name: 'a certificate',
    template: `{{ with secret "pki/issue/web" "common_name=app.example" "ttl=24h" -}}
{{ .Data.certificate }}
{{ .Data.private_key }}
{{ .Data.issuing_ca }}
{{ range .Data.ca_chain }}{{ . }}{{ end }} {{ .Data.serial_number }}
{{- end }}
`,
  },
  {
    name: 'pkiCert',
    template: `{{ with pkiCert "pki/issue/web" "common_name=app.example" "ttl=24h" -}}
{{ .Cert }}{{ .CA }}{{ .Key }}
{{ .Data.Cert }}
{{- end }}`,
  },
  {
    name: 'pkiCert with its chain',
    template: `{{ with pkiCert "pki/issue/web" (printf "common_name=%s" "app.example") }}{{ range .CAChain }}{{ . }}{{ end }}{{ if .Key }}has key{{ end }}{{ end }}`,
  },
  {
    name: 'nginx',
    template: `server {
    listen 443 ssl;
    server_name {{ env "APP_NAME" }}.example;
    {{- range $i, $host := split "," (env "LIST") }}
    # {{ $i }} {{ $host | trimSpace }}
    {{- end }}
    location / {
        proxy_set_header Host $host;
        proxy_set_header Authorization "Basic {{ with secret "secret/data/app" }}{{ printf "%s:%s" .Data.data.username .Data.data.password | base64Encode }}{{ end }}";
    }
}
`,
  },
  {
    name: 'a JSON file',
    template: `{
  "db": {
{{- with secret "secret/data/app" }}
    "user": "{{ .Data.data.username }}",
    "password": {{ .Data.data.password | toJSON }},
    "port": {{ .Data.data.port }},
    "hosts": [{{ range $i, $h := .Data.data.hosts }}{{ if $i }}, {{ end }}"{{ $h }}"{{ end }}]
{{- end }}
  }
}
`,
  },
  {
    name: 'properties',
    template: `{{ with secret "secret/app" -}}
spring.datasource.username={{ .Data.data.username }}
spring.datasource.password={{ .Data.data.password }}
{{- end }}
logging.level={{ env "LEVEL" }}
`,
  },
  {
    name: 'PHP',
    template: `{{- with secret "database/creds/app" -}}
<?php
$user = '{{ .Data.username }}';
$password = '{{ .Data.password }}';
{{ end }}
`,
  },
  {
    name: 'a pgpass line of each host',
    template: `{{ with secret "secret/data/app" }}{{ $d := .Data.data }}{{ range $d.hosts }}{{ . }}:{{ $d.port }}:*:{{ $d.username }}:{{ $d.password }}
{{ end }}{{ end }}`,
  },
  {
    name: 'windows line ends',
    template: `a\r
{{ "b" -}}\r
c\r
`,
  },
  {
    name: 'a byte order mark',
    template: `\ufeff{{ "a" }}`,
  },
  {
    name: 'wrong: unclosed action',
    template: `a {{ "x"`,
  },
  {
    name: 'wrong: unclosed block',
    template: `{{ if true }}x`,
  },
  {
    name: 'wrong: end too many',
    template: `x{{ end }}`,
  },
  {
    name: 'wrong: else without if',
    template: `{{ else }}`,
  },
  {
    name: 'wrong: unknown function',
    template: `{{ foo "x" }}`,
  },
  {
    name: 'wrong: unknown variable',
    template: `{{ $nope }}`,
  },
  {
    name: 'wrong: empty action',
    template: `a{{ }}b`,
  },
  {
    name: 'wrong: unclosed comment',
    template: `{{/* x }}`,
  },
  {
    name: 'wrong: comment with more',
    template: `{{ /* x */ "y" }}`,
  },
  {
    name: 'wrong: value with arguments',
    template: `{{ "a" "b" }}`,
  },
  {
    name: 'wrong: value after a pipe',
    template: `{{ "a" | "b" }}`,
  },
  {
    name: 'wrong: unclosed quote',
    template: `{{ "a }}`,
  },
  {
    name: 'wrong: unclosed parenthesis',
    template: `{{ (print 1 }}`,
  },
  {
    name: 'wrong: break outside',
    template: `{{ break }}`,
  },
  {
    name: 'wrong: field with a dash',
    template: `{{ .Data.a-b }}`,
  },
  {
    name: 'wrong: template that is not there',
    template: `{{ template "x" }}`,
  },
  {
    name: 'wrong: assignment to nothing',
    template: `{{ $x = 1 }}`,
  },
  {
    name: 'wrong: range of three',
    template: `{{ range $a, $b, $c := loop 2 }}{{ end }}`,
  },
  {
    name: 'wrong: two elses',
    template: `{{ if true }}{{ else }}{{ else }}{{ end }}`,
  },
  {
    name: 'wrong: too few arguments',
    template: `{{ toUpper }}`,
  },
  {
    name: 'wrong: too many arguments',
    template: `{{ toUpper "a" "b" }}`,
  },
  {
    name: 'wrong: a list to toUpper',
    template: `{{ toUpper (split "," "a") }}`,
  },
  {
    name: 'wrong: pipe to nothing',
    template: `{{ "a" | }}`,
    refused: /a function is missing/,
  },
  {
    name: 'wrong: a pipe first',
    template: `{{ | print }}`,
  },
  {
    name: 'refused: service',
    template: `{{ range service "web" }}{{ .Address }}{{ end }}`,
    refused: /service is not supported/,
  },
  {
    name: 'refused: sprig',
    template: `{{ sprig_upper "a" }}`,
    refused: /sprig_upper is not supported.*toUpper/,
  },
  {
    name: 'refused: scratch',
    template: `{{ scratch.Set "a" 1 }}`,
    refused: /./,
  },
  {
    name: 'refused: toTOML',
    template: `{{ toTOML (parseJSON "{}") }}`,
    refused: /toTOML is not supported/,
  },
];
