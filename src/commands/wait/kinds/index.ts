import type { AnyKind } from '../kind.ts';

/** How the targets of a kind begin, and how it is loaded. */
export interface ListedKind {
  /** `redis` of `redis://cache:6379`. */
  readonly schemes?: readonly string[];
  /** `dns` of `dns:NAME`, for what is not a URL with a host. */
  readonly prefixes?: readonly string[];
  readonly load: () => Promise<AnyKind>;
}

/** Every kind of target. Adding one is a folder beside this file and a line here, which loads it when a target needs it. */
export const kinds: Readonly<Record<string, ListedKind>> = {
  tcp: { schemes: ['tcp'], prefixes: ['unix'], load: async () => (await import('./tcp/kind.ts')).tcp },
  dns: { prefixes: ['dns'], load: async () => (await import('./dns/kind.ts')).dns },
  http: { schemes: ['http', 'https', 'h2c'], load: async () => (await import('./http/kind.ts')).http },
  postgres: {
    schemes: ['postgres', 'postgresql'],
    prefixes: ['postgres'],
    load: async () => (await import('./postgres/kind.ts')).postgres,
  },
  exec: { prefixes: ['exec'], load: async () => (await import('./exec/kind.ts')).exec },
  file: { prefixes: ['file'], load: async () => (await import('./file/kind.ts')).file },
  redis: { schemes: ['redis', 'rediss'], load: async () => (await import('./redis/kind.ts')).redis },
  kubernetes: {
    prefixes: ['kubernetes'],
    load: async () => (await import('./kubernetes/kind.ts')).kubernetes,
  },
  mongodb: {
    schemes: ['mongodb', 'mongodb+srv'],
    load: async () => (await import('./mongodb/kind.ts')).mongodb,
  },
  mysql: { schemes: ['mysql', 'mariadb'], load: async () => (await import('./mysql/kind.ts')).mysql },
  nats: { schemes: ['nats', 'natss'], load: async () => (await import('./nats/kind.ts')).nats },
  zookeeper: {
    schemes: ['zookeeper', 'zookeepers'],
    load: async () => (await import('./zookeeper/kind.ts')).zookeeper,
  },
  amqp: { schemes: ['amqp', 'amqps'], load: async () => (await import('./amqp/kind.ts')).amqp },
  grpc: { schemes: ['grpc', 'grpcs'], load: async () => (await import('./grpc/kind.ts')).grpc },
  temporal: {
    schemes: ['temporal', 'temporals'],
    load: async () => (await import('./temporal/kind.ts')).temporal,
  },
  influxdb: {
    schemes: ['influxdb', 'influxdbs'],
    load: async () => (await import('./influxdb/kind.ts')).influxdb,
  },
  websocket: { schemes: ['ws', 'wss'], load: async () => (await import('./websocket/kind.ts')).websocket },
  kafka: { schemes: ['kafka', 'kafkas'], load: async () => (await import('./kafka/kind.ts')).kafka },
};
