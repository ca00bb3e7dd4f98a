import { parseAlternativeName } from '../../clients/x509/alternative-names.ts';
import { defineCommand, each } from '../../core/command.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { checkCertificate } from './check.ts';
import { certificateOptions } from './options.ts';
import { runCertificate } from './run.ts';

const positionals = {
  usage: '[NAME…]',
  name: 'names',
  description: 'DNS names and IP addresses of the certificate; none are needed beside --service',
  parse: each('name', parseName, { min: 0, example: 'initbox certificate shop.example.com --to /tls' }),
};

export const certificate = defineCommand({
  name: 'certificate',
  summary: 'make a private key and a certificate, or keep those that are still valid',
  description: `Makes a private key and a certificate for the names of a Service, for clusters without an issuer such as cert-manager: signed by itself, by an authority that is given as files, by one that it makes and keeps in a folder, or by Vault's PKI engine, which gets a request and never the key.

A rerun keeps what is there, where its names, its kind of key and its authority are those that are asked for, the key fits, it is far from its end, and nobody else could have changed it. Key and certificate appear together: no reader ever sees those of two runs. They go to memory (tmpfs) only, unless --allow-disk.`,
  examples: [
    'initbox certificate --service shop --to /tls',
    'initbox certificate shop.example.com localhost 127.0.0.1 --to /tls --key-type rsa-2048 --duration 2160h',
    'initbox certificate --headless-service kafka --ca-cert /ca/tls.crt --ca-key /ca/tls.key --to /tls',
    'initbox certificate --service shop --ca-dir /authority --to /tls --allow-disk',
    'initbox certificate --service shop --issuer vault:pki/sign/shop --vault-role shop --duration 720h --to /tls',
  ],
  positionals,
  options: certificateOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkCertificate,
  run: runCertificate,
});

function parseName(given: string) {
  refuseUnexpanded('name', given, 'the name');
  return parseAlternativeName(given);
}
