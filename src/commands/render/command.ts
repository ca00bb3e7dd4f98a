import { defineCommand, each } from '../../core/command.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { checkRender } from './check-input.ts';
import { renderOptions } from './options.ts';
import { runRender } from './run.ts';

const positionals = {
  usage: 'TEMPLATE…',
  name: 'templates',
  keys: [{ key: 'templates', many: true }],
  description:
    'files, or folders of files; the endings .template, .tmpl, .tpl, .ctmpl and .liquid are left out in a folder',
  parse: each('template', parsePath, {
    min: 1,
    example: 'initbox render /templates/app.conf --to /config/app.conf',
  }),
};

export const render = defineCommand({
  name: 'render',
  summary: 'render templates with variables, files and secrets',
  description: `Writes templates with what they refer to put in, all or nothing: a reader never sees half of a file, and nothing is written where something is missing.

Languages: env knows $NAME, \${NAME}, \${NAME:-default}, \${NAME:?message} and \${NAME:+instead} as a shell does, and $$ for $; liquid has loops, conditions and filters, among them yaml, json, shell, properties and xml, which quote; consul-template takes over the files of consul-template and Vault Agent as they are, and reads the secrets that they name. Variables of the environment are there in all (in liquid as env.NAME), and --data brings files and every source of fetch-config. What is not set is an error, unless the template says what to do.

--block writes into a file that is there, between marker lines, and --append-lines adds lines that are missing; the rest of the file stays.`,
  examples: [
    'initbox render /templates/nginx.conf.template --to /etc/nginx/conf.d/ --only SERVER_NAME --only PORT',
    'initbox render /templates/app.conf --to /config/app.conf --data DB_PASSWORD=vault:secret/db#password --vault-role app',
    'initbox render /templates/app.yaml.liquid --to /config/app.yaml --language liquid --data db=vault:secret/db --check yaml',
    "initbox render /templates/cluster.cnf --to /config/my.cnf --block cluster --after '[mysqld]'",
    'initbox render /templates/app.ctmpl --to /config/app.conf --language consul-template --vault-role app',
    'initbox render /templates --to /config --data /values/values.yaml --language liquid',
  ],
  positionals,
  options: renderOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkRender,
  run: runRender,
});

function parsePath(text: string): string {
  refuseUnexpanded('path', text, 'the template');
  return text;
}
