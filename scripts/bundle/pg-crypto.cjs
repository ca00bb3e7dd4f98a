// What pg's lib/crypto/utils.js offers, on node:crypto. pg's own is on Web Crypto, for runtimes that have nothing else;
// loading that in Node takes as long as the rest of a login. Functions are what RFC 5802 (SCRAM) and the server's
// AuthenticationMD5Password need.
const { createHash, createHmac, pbkdf2, randomBytes } = require('node:crypto');
const { promisify } = require('node:util');

const hash = (name, data) => createHash(name).update(data).digest();
const md5 = async (data) => hash('md5', data).toString('hex');

module.exports = {
  randomBytes,
  md5,
  postgresMd5PasswordHash: async (user, password, salt) =>
    `md5${await md5(Buffer.concat([Buffer.from(await md5(password + user)), salt]))}`,
  sha256: async (data) => hash('sha256', data),
  // Web Crypto's names: `SHA-256`.
  hashByName: async (name, data) => hash(name.replace('-', ''), data),
  hmacSha256: async (key, message) => createHmac('sha256', key).update(message).digest(),
  // In a thread: the server chooses how many iterations there are.
  deriveKey: (password, salt, iterations) => promisify(pbkdf2)(password, salt, iterations, 32, 'sha256'),
};
