/**
 * Structured logs: one JSON object a line, with the process name, an ISO time and a level by name.
 * Anything that looks like a credential is redacted by path, at the depths at which the harness and the
 * services write objects. What is not redacted by path must not be logged: variables and bodies never are.
 */
import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Logger;

const SECRET_NAMES = [
  'authorization',
  'Authorization',
  'cookie',
  'password',
  'passwordHash',
  'token',
  'accessToken',
  'refreshToken',
  'secret',
  '["set-cookie"]',
  '["taskflow-context"]',
  '["taskflow-established"]',
  '["x-api-key"]',
];

/** Objects deeper than this do not belong on a log line. */
const REDACTION_DEPTH = 4;

export const REDACTED_PATHS: readonly string[] = SECRET_NAMES.flatMap((name) =>
  Array.from({ length: REDACTION_DEPTH }, (_, depth) => {
    const parents = Array.from({ length: depth }, () => '*').join('.');
    if (name.startsWith('[')) return `${parents}${name}`;
    return parents === '' ? name : `${parents}.${name}`;
  }),
);

/** A pino logger for one process. `destination` is for tests; by default it writes to stdout. */
export function createLog(options: {
  process: string;
  level?: string;
  destination?: DestinationStream;
}): Log {
  const settings = {
    level: options.level ?? 'info',
    base: { process: options.process },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: [...REDACTED_PATHS], censor: '[redacted]' },
    serializers: { err: describeError, error: describeError },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** How many causes are followed; deeper chains repeat themselves. */
const CAUSE_DEPTH_MAX = 3;

/**
 * What a log line tells about an error. Chosen fields only: drivers hang rows, parameters and connection
 * settings on their errors, and those are somebody's data.
 */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as { code?: unknown };
  const { cause } = error;
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    ...(cause instanceof Error && depth < CAUSE_DEPTH_MAX ? { cause: describeError(cause, depth + 1) } : {}),
  };
}
