/** Facts as a service would write them, for the tests of this folder. */
import { randomUUID } from 'node:crypto';
import type { Fact } from './outbox.ts';

export function aFact(options: {
  orgId: string;
  aggregateId?: string;
  version?: number;
  source?: string;
  type?: string;
}): Fact {
  const { orgId, aggregateId = randomUUID(), version = 1, source = 'task', type = 'task.updated' } = options;
  return {
    id: randomUUID(),
    source,
    type,
    schemaVersion: 1,
    orgId,
    aggregate: { type: 'task', id: aggregateId, version },
    actor: { userId: null },
    requestId: randomUUID(),
    traceparent: null,
    occurredAt: new Date().toISOString(),
    before: null,
    after: { title: 'Größe "quoted" \\ 🎉', version },
  };
}
