/**
 * Configuration from the environment.
 *
 * A process lists its variables as a record NAME -> zod schema (each with `.describe()`), and `readConfig`
 * parses the whole record at once: every problem is collected and reported in one message, so that a person
 * fixes a deployment in one go. Two modes (TASKFLOW_MODE):
 *
 *   development  secrets and addresses have defaults, the secret ones marked `insecure-for-production`
 *   production   those defaults do not exist; one given by hand is refused as well
 *
 * An empty variable counts as absent. Values of secrets never appear in a message.
 */
import { z } from 'zod';

export type Variables = Record<string, z.ZodType>;
export type Config<V extends Variables> = Readonly<{ [K in keyof V]: z.output<V[K]> }>;

export type KeyRing = readonly { readonly id: string; readonly secret: Buffer }[];

interface VariableMeta {
  description?: string;
  /** What `.env.example` shows and what an absent variable means. */
  default?: string;
  /** The default exists in development only. */
  developmentOnly?: boolean;
  secret?: boolean;
  /** A development switch: `true` is refused in production. */
  refusedInProduction?: boolean;
}

export interface VariableDescription {
  name: string;
  description: string;
  default: string | null;
  secret: boolean;
  /** True when production must set it. */
  requiredInProduction: boolean;
}

/** Thrown by `readConfig`: `message` holds every problem, one a line, ready to be shown to an operator. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  constructor(process: string, problems: readonly string[]) {
    super(
      `${process} cannot start: ${problems.length} configuration problem(s)\n${problems.map((p) => `  - ${p}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

/** Marks every secret default, so that production can refuse one that was copied from `.env.example`. */
const INSECURE_MARK = 'insecure-for-production';

/**
 * Parses `env` with `variables` into a frozen record. Throws ConfigError with all problems at once.
 * Reads nothing but `env`; safe to call twice.
 */
export function readConfig<V extends Variables>(
  process: string,
  variables: V,
  env: NodeJS.ProcessEnv,
): Config<V> {
  const production = env.TASKFLOW_MODE === 'production';
  const problems: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(variables)) {
    const meta = metaOf(schema);
    const given = env[name] === '' ? undefined : env[name];
    const text = given ?? (meta.developmentOnly && !production ? meta.default : undefined);
    const refusal = production ? refusedInProduction(meta, given) : null;
    if (refusal) {
      problems.push(`${name}: ${refusal}`);
      continue;
    }
    const parsed = schema.safeParse(text);
    if (parsed.success) config[name] = parsed.data;
    else problems.push(`${name}: ${expectationOf(parsed.error)}${valueShown(meta, text)}`);
  }
  if (problems.length > 0) throw new ConfigError(process, problems);
  return Object.freeze(config) as Config<V>;
}

/** The variables as `.env.example` and the README tables must show them; an architecture test compares. */
export function describeVariables(variables: Variables): VariableDescription[] {
  return Object.entries(variables).map(([name, schema]) => {
    const meta = metaOf(schema);
    return {
      name,
      description: meta.description ?? '',
      default: meta.default ?? null,
      secret: meta.secret ?? false,
      requiredInProduction:
        meta.developmentOnly === true || (meta.default === undefined && isRequired(schema)),
    };
  });
}

const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;
/** HMAC-SHA256 keys shorter than the hash weaken it (RFC 2104 §3). */
const KEY_SECRET_LENGTH_MIN = 32;

/**
 * `kid:secret` or `kid:secret,kid:secret`: the first key signs, all verify. Throws an Error whose message
 * never contains the text.
 */
export function parseKeyRing(text: string): KeyRing {
  const ring = text.split(',').map((part) => {
    const colon = part.indexOf(':');
    const id = part.slice(0, Math.max(colon, 0)).trim();
    const secret = part.slice(colon + 1).trim();
    if (!KEY_ID.test(id)) throw new Error('expected "<key id>:<secret>", comma-separated');
    if (secret.length < KEY_SECRET_LENGTH_MIN) {
      throw new Error(`expected secrets of at least ${KEY_SECRET_LENGTH_MIN} characters`);
    }
    return { id, secret: Buffer.from(secret, 'utf8') };
  });
  if (new Set(ring.map((key) => key.id)).size !== ring.length) throw new Error('expected distinct key ids');
  return ring;
}

// --- builders: every one carries its default and its secrecy, so that one reader serves all -------------

/** A secret of at least 16 characters; the default is for development only. */
export function secret(developmentDefault: string) {
  return z
    .string('expected a secret')
    .min(16, 'expected at least 16 characters')
    .meta({ default: developmentDefault, developmentOnly: true, secret: true } satisfies VariableMeta);
}

/** A key ring in its text form, validated here and parsed by `parseKeyRing` where it is used. */
export function keyRing(developmentDefault: string) {
  return z
    .string('expected "<key id>:<secret>"')
    .superRefine((text, context) => {
      try {
        parseKeyRing(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message });
      }
    })
    .meta({ default: developmentDefault, developmentOnly: true, secret: true } satisfies VariableMeta);
}

/** An address. With `secret` (credentials inside) its value is never shown. The default is for development only. */
export function url(developmentDefault: string, options: { secret?: boolean; protocols?: string[] } = {}) {
  const { secret = false, protocols } = options;
  const expectation = protocols ? `expected a ${protocols.join(' or ')} URL` : 'expected a URL';
  return z
    .string(expectation)
    .refine((text) => {
      const parsed = URL.parse(text);
      return parsed !== null && (!protocols || protocols.includes(parsed.protocol.slice(0, -1)));
    }, expectation)
    .meta({ default: developmentDefault, developmentOnly: true, secret } satisfies VariableMeta);
}

/** A TCP port; 0 asks the system for a free one. */
export function port(fallback: number) {
  return int(fallback, { min: 0, max: 65_535 });
}

export function int(fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) {
  const expectation = `expected a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^-?\d{1,15}$/, expectation)
    .transform(Number)
    .refine((value) => value >= min && value <= max, expectation)
    .prefault(String(fallback))
    .meta({ default: String(fallback) } satisfies VariableMeta);
}

export function text(fallback: string) {
  return z
    .string()
    .prefault(fallback)
    .meta({ default: fallback } satisfies VariableMeta);
}

export function flag(fallback: boolean, options: { refusedInProduction?: boolean } = {}) {
  return z
    .enum(['true', 'false'], 'expected true or false')
    .transform((value) => value === 'true')
    .prefault(fallback ? 'true' : 'false')
    .meta({ default: String(fallback), ...options } satisfies VariableMeta);
}

export function choice<const T extends readonly [string, ...string[]]>(values: T, fallback: T[number]) {
  return z
    .enum(values, `expected one of ${values.join(', ')}`)
    .prefault(fallback)
    .meta({ default: fallback } satisfies VariableMeta);
}

/** Variables that every process reads under the same name. */
export const sharedVariables = {
  TASKFLOW_MODE: choice(['development', 'production'], 'development').describe(
    'development allows insecure defaults; production has none for secrets and addresses.',
  ),
  LOG_LEVEL: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info').describe(
    'Least severe level that is written to the log.',
  ),
  REDIS_URL: url('redis://127.0.0.1:6379', { secret: true, protocols: ['redis', 'rediss'] }).describe(
    'Redis that carries hints, work streams and control keys.',
  ),
};

/** Variables that every subgraph reads under the same name. */
export const auditVariables = {
  AUDIT_RETENTION_DAYS: int(90, { min: 1, max: 3_650 }).describe(
    'How many days the audit log of each subgraph is kept.',
  ),
  AUDIT_CHECKPOINT_KEY: keyRing(`dev:${INSECURE_MARK}-audit-checkpoint-key`).describe(
    'Signs what retention leaves in place of removed audit entries: "<key id>:<secret>", two comma-separated while rotating; the first signs.',
  ),
};

/** The variables that the four subgraphs share, with the process name as prefix: `TASK_PORT`, … */
export function subgraphVariables<P extends string>(prefix: P, defaultPort: number) {
  const name = prefix.toLowerCase();
  return withPrefix(prefix, {
    HOST: text('127.0.0.1').describe('Address to listen on.'),
    PORT: port(defaultPort).describe('Port to listen on; 0 takes a free one.'),
    DATABASE_URL: databaseUrl(name, 'app').describe(
      'PostgreSQL, as the role that serves requests under row security.',
    ),
    SYSTEM_DATABASE_URL: databaseUrl(name, 'system').describe(
      'PostgreSQL, as the role of the relay and of retention.',
    ),
    DATABASE_POOL_SIZE: int(10, { min: 1, max: 500 }).describe('Connections that serve requests, at most.'),
    SYSTEM_DATABASE_POOL_SIZE: int(3, { min: 1, max: 100 }).describe(
      'Connections of background work, at most.',
    ),
    CONTEXT_KEY: keyRing(`dev:${INSECURE_MARK}-${name}-context-key`).describe(
      'Verifies the context that the router signs: "<key id>:<secret>", two comma-separated while rotating; the first signs.',
    ),
    CURSOR_KEY: keyRing(`dev:${INSECURE_MARK}-${name}-cursor-key`).describe(
      'Signs pagination cursors: "<key id>:<secret>", two comma-separated while rotating; the first signs.',
    ),
    ALLOW_UNSIGNED: flag(false, { refusedInProduction: true }).describe(
      'Accept calls without a signed context from loopback, for composition tools and other routers.',
    ),
  });
}

function databaseUrl(name: string, role: 'app' | 'system') {
  return url(`postgresql://taskflow_${name}_${role}:${INSECURE_MARK}@127.0.0.1:5432/taskflow_${name}`, {
    secret: true,
    protocols: ['postgresql', 'postgres'],
  });
}

type Prefixed<P extends string, V extends Variables> = { [K in keyof V & string as `${P}_${K}`]: V[K] };

function withPrefix<P extends string, V extends Variables>(prefix: P, variables: V): Prefixed<P, V> {
  const entries = Object.entries(variables).map(([suffix, schema]) => [`${prefix}_${suffix}`, schema]);
  return Object.fromEntries(entries) as Prefixed<P, V>;
}

function metaOf(schema: z.ZodType): VariableMeta {
  return (schema.meta() ?? {}) as VariableMeta;
}

function isRequired(schema: z.ZodType): boolean {
  return !schema.safeParse(undefined).success;
}

function refusedInProduction(meta: VariableMeta, given: string | undefined): string | null {
  if (meta.developmentOnly && given === undefined)
    return 'must be set in production, where it has no default';
  if (meta.secret && given?.includes(INSECURE_MARK))
    return 'the development default is refused in production';
  if (meta.refusedInProduction && given === 'true')
    return 'is a development switch and refused in production';
  return null;
}

function expectationOf(error: z.ZodError): string {
  return [...new Set(error.issues.map((issue) => issue.message))].join('; ');
}

function valueShown(meta: VariableMeta, text: string | undefined): string {
  if (text === undefined) return ', but it is not set';
  return meta.secret ? ' (its value is not shown)' : `, got ${JSON.stringify(text)}`;
}
