/** The plugins whose stored form of a password can be made and compared here. */
export const hashedPlugins = ['mysql_native_password', 'caching_sha2_password', 'ed25519'] as const;
export type MysqlHashedPlugin = (typeof hashedPlugins)[number];
