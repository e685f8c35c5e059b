import { writeEnvExample } from '@taskflow/dev/env-example';
import { expect, it } from 'vitest';
import { read, SUBGRAPHS } from './tree.ts';

it('.env.example names every variable of every process, with its meaning and default', () => {
  expect(read('.env.example')).toBe(writeEnvExample());
});

it('every variable that .env.example explains belongs to a process, by its prefix or because all share it', () => {
  const names = [...read('.env.example').matchAll(/^(?:# )?([A-Z][A-Z0-9_]*)=\S*$/gm)].map(
    ([, name]) => name ?? '',
  );
  const prefixes = [...SUBGRAPHS.map((name) => `${name.toUpperCase()}_`), 'ROUTER_', 'TASKFLOW_', 'MAILBOX_'];
  const common = [
    'LOG_LEVEL',
    'REDIS_URL',
    'PORT',
    'POSTGRES_ADMIN_URL',
    'DATABASE_PASSWORD',
    'AUDIT_RETENTION_DAYS',
    'AUDIT_CHECKPOINT_KEY',
    'MAIL_SEAL_KEY',
  ];
  const strangers = names.filter(
    (name) => !common.includes(name) && !prefixes.some((prefix) => name.startsWith(prefix)),
  );
  expect(strangers).toEqual([]);
  expect(new Set(names).size).toBe(names.length);
});
