import { defineCommand } from '../../core/command.ts';
import { checkTrust } from './check.ts';
import { trustOptions } from './options.ts';
import { runTrust } from './run.ts';

export const trust = defineCommand({
  name: 'trust',
  summary: 'make CA bundles, truststores and keystores',
  description: `Puts certificates together, on top of the system's roots or alone, and writes them in the forms that programs read: a PEM bundle, an OpenSSL hash folder, and truststores for Java (PKCS12, JKS). It also makes a keystore of a private key and its chain, and looks at what a TLS server shows. All of it appears together, and the same certificates give the same bytes, so that a rerun changes nothing.

Duplicates are dropped. Certificates that have expired or are not of an authority are named in a warning. A private key that lies beside the certificates is left out; a keystore goes to memory (tmpfs) only, unless --allow-disk.`,
  examples: [
    'initbox trust --system --add /extra --bundle /bundle/ca.crt',
    'initbox trust --system --add /ca/corp.crt --pkcs12 /trust/cacerts.p12 --password-env STORE_PASSWORD',
    'initbox trust --add /ca --bundle /trust/ca.crt --hash-dir /trust/certs --jks /trust/cacerts.jks --password-env STORE_PASSWORD',
    'initbox trust --system --add vault:pki/cert/ca_chain --bundle /trust/ca.crt --vault-role app',
    'initbox trust --from-server ldap.corp:636',
    'initbox trust --key /tls/tls.key --cert /tls/tls.crt --key-pkcs12 /keys/keystore.p12 --password-env STORE_PASSWORD',
  ],
  options: trustOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkTrust,
  run: runTrust,
});
