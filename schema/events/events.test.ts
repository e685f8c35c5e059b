import { v7 as uuidv7 } from 'uuid';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { subgraphNames } from '../sdl.ts';
import {
  type AnyFact,
  type ConsumedBy,
  FactError,
  type FactOf,
  facts,
  makeFact,
  parseFact,
  sources,
  type TaskImage,
} from './index.ts';

const task: TaskImage = {
  id: uuidv7(),
  key: 'ENG-42',
  title: 'Ship it',
  status: 'TODO',
  priority: 'NONE',
  assigneeId: null,
  creatorId: uuidv7(),
  projectId: null,
  tags: ['release'],
  dueAt: null,
  createdAt: '2026-11-21T08:30:00.000Z',
  archivedAt: null,
  deletedAt: null,
  version: 2,
};

function aTaskUpdated(): FactOf<'task.updated'> {
  return makeFact({
    type: 'task.updated',
    orgId: uuidv7(),
    aggregate: { id: task.id, version: 2 },
    actor: { userId: uuidv7() },
    requestId: 'request-1',
    before: { ...task, status: 'BACKLOG', version: 1 },
    after: task,
  });
}

/** What a consumer reads: the fact after its way through JSON, with some of it replaced. */
function received(changes: object = {}): unknown {
  return JSON.parse(JSON.stringify({ ...aTaskUpdated(), ...changes }));
}

describe('a new fact', () => {
  test('gets its id, time, source and version from the list, and keeps nothing of the actor but the person', () => {
    const viewer = { userId: uuidv7(), sessionId: 'secret' };
    const fact = makeFact({
      type: 'team.created',
      orgId: uuidv7(),
      aggregate: { id: uuidv7(), version: 1 },
      actor: viewer,
      requestId: 'request-1',
      before: null,
      after: { id: uuidv7(), name: 'Engines', parentTeamId: null },
    });
    expect(fact).toMatchObject({
      source: 'org',
      schemaVersion: 1,
      aggregate: { type: 'team', version: 1 },
      traceparent: null,
    });
    expect(fact.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(new Date(fact.occurredAt).toISOString()).toBe(fact.occurredAt);
    expect(fact.actor).toEqual({ userId: viewer.userId });
  });

  test('comes out of JSON as it went in', () => {
    const fact = aTaskUpdated();
    expect(parseFact(JSON.parse(JSON.stringify(fact)))).toEqual(fact);
  });

  test('is refused when an image lacks a column that visibility needs', () => {
    const { creatorId: _, ...incomplete } = task;
    const after = incomplete as TaskImage;
    expect(() => makeFact({ ...aTaskUpdated(), after })).toThrow(/creatorId/);
  });
});

describe('a fact that arrives', () => {
  test('is narrowed by its type', () => {
    const fact = parseFact(received());
    if (fact.type !== 'task.updated') throw new Error('not narrowed');
    expectTypeOf(fact.after).toEqualTypeOf<TaskImage>();
    expect(fact.after.key).toBe('ENG-42');
  });

  test('may have fields that this release does not know; they are dropped', () => {
    const newer = received({ region: 'eu', after: { ...task, estimate: 3 } });
    const fact = parseFact(newer) as FactOf<'task.updated'>;
    expect(fact).not.toHaveProperty('region');
    expect(fact.after).toEqual(task);
  });

  test('may have a value of an enum that this release does not know; it is kept', () => {
    const fact = parseFact(received({ after: { ...task, status: 'ON_HOLD' } })) as FactOf<'task.updated'>;
    expect(fact.after.status).toBe('ON_HOLD');
  });

  test.each([
    ['an unknown type', { type: 'task.exploded' }],
    ['a type that every object has', { type: 'constructor' }],
    ['another source than its type has', { source: 'org' }],
    ['a later schema version', { schemaVersion: 2 }],
    ['no organisation', { orgId: undefined }],
    ['an aggregate of another kind', { aggregate: { type: 'team', id: task.id, version: 1 } }],
    ['a version that is no number', { aggregate: { type: 'task', id: task.id, version: '1' } }],
    ['a malformed time', { occurredAt: 'yesterday' }],
    ['no image where there must be one', { after: null }],
    ['a status that is no enum value', { after: { ...task, status: 'in progress' } }],
    ['a known field of another type', { after: { ...task, tags: 'release' } }],
  ])('with %s is refused', (_what, changes) => {
    expect(() => parseFact(received(changes))).toThrow(FactError);
  });

  test.each([null, undefined, 'task.updated', 7, []])('that is %j is refused', (value) => {
    expect(() => parseFact(value)).toThrow(FactError);
  });
});

describe('the list', () => {
  test('names only subgraphs, and none as the consumer of its own facts', () => {
    expect([...sources].sort()).toEqual([...subgraphNames].sort());
    for (const { source, consumers } of Object.values(facts)) {
      expect(consumers).not.toContain(source);
    }
  });

  test('tells a subgraph at compile time what it has to handle', () => {
    expectTypeOf<ConsumedBy<'notification'>>().toEqualTypeOf<
      'mail.requested' | 'member.erased' | 'data-export.requested' | 'task.assigned' | 'task.status-changed'
    >();
    expectTypeOf<ConsumedBy<'user'>>().toEqualTypeOf<
      | 'organization.updated'
      | 'organization.suspended'
      | 'organization.reinstated'
      | 'plan.changed'
      | 'org-data.gathered'
      | 'task-data.gathered'
      | 'notification-data.gathered'
      | 'org-traces.erased'
      | 'task-traces.erased'
      | 'notification-traces.erased'
    >();
    expectTypeOf<ConsumedBy<'user'>>().toExtend<keyof typeof facts>();
    expectTypeOf<'plan.changed' | 'task-traces.erased'>().toExtend<ConsumedBy<'user'>>();
    expectTypeOf<'member.joined'>().not.toExtend<ConsumedBy<'user'>>();
    expectTypeOf<AnyFact['type']>().toEqualTypeOf<keyof typeof facts>();
  });
});
