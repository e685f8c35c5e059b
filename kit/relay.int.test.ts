import { randomUUID } from 'node:crypto';
import { startOwnPostgres } from '@taskflow/tests/kit/postgres';
import { aRedis, startOwnRedis } from '@taskflow/tests/kit/redis';
import type pg from 'pg';
import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { aFact } from './facts.fixture.ts';
import { WORK_PARTITIONS } from './keys.ts';
import { createLog } from './log.ts';
import { appendFacts, createOutboxReader, type Fact } from './outbox.ts';
import { aDatabase, type PlumbedDatabase } from './postgres.fixture.ts';
import { createRedis, type RedisConnections } from './redis.ts';
import { createRelay, type Relay, type RelayOptions } from './relay.ts';
import { createSystemPool, TenantPool, transaction, withTenant } from './tenant-pool.ts';

const log = createLog({ process: 'test', level: process.env.LOG_LEVEL ?? 'silent' });
const DEADLINE = { timeout: 15_000, interval: 10 };

let database: PlumbedDatabase;
let app: TenantPool;
let system: pg.Pool;
let redisUrl: string;
let redis: RedisConnections;

beforeAll(async () => {
  database = await aDatabase();
  redisUrl = (await aRedis()).url;
  app = database.app({ max: 8 });
  system = database.system();
  await database.run(
    'owner',
    `create table counters (org_id uuid not null, id uuid not null, version int not null default 0, primary key (org_id, id));
     alter table counters enable row level security;
     create policy counters_tenant on counters to taskflow_task_app
       using (org_id = (select current_setting('app.org_id')::uuid));
     grant select, insert, update on counters to taskflow_task_app`,
  );
});

beforeEach(async () => {
  await database.run('owner', 'truncate outbox, outbox_positions restart identity');
  await database.run(
    'superuser',
    "update relay_lease set holder = null, batch = 0, expires_at = '-infinity'",
  );
  redis = await connect(redisUrl, `test-${randomUUID()}:`);
});

async function connect(url: string, prefix = ''): Promise<RedisConnections> {
  const connections = createRedis({ url, prefix, log });
  onTestFinished(() => connections.close());
  await connections.whenReady();
  return connections;
}

function aRelay(options: Partial<RelayOptions> = {}): Relay {
  const relay = createRelay({ source: 'task', pool: system, redis, consumers: ['org'], log, ...options });
  onTestFinished(() => relay.stop());
  relay.start();
  return relay;
}

const append = (...facts: Fact[]) =>
  withTenant({ orgId: facts[0]?.orgId ?? '' }, () => transaction(app, (sql) => appendFacts(sql, facts)));
const someFacts = (orgId: string, count: number) => Array.from({ length: count }, () => aFact({ orgId }));
/** Facts of one thing, whose order can be checked. */
const versions = (orgId: string, count: number, from = 1, aggregateId = randomUUID()) =>
  Array.from({ length: count }, (_, n) => aFact({ orgId, aggregateId, version: from + n }));
const idsOf = (facts: Fact[]) => facts.map((fact) => fact.id).sort();

/** What is in the work streams, per partition in order. */
async function streamed(from: RedisConnections = redis): Promise<Fact[]> {
  const pages = await Promise.all(
    Array.from({ length: WORK_PARTITIONS }, (_, p) =>
      from.commands.xrange(from.keys.workStream('task', p), '-', '+'),
    ),
  );
  return pages.flat().map(([, fields]) => JSON.parse(fields[1] ?? '') as Fact);
}

const count = async (where: string) => {
  const { rows } = await system.query<{ n: number }>(`select count(*)::int as n from outbox where ${where}`);
  return rows[0]?.n;
};
const untilPublished = (total: number) =>
  vi.waitUntil(async () => (await count('published_at is not null')) === total, DEADLINE);

async function listenTo(orgId: string) {
  const heard: { seq: number; fact: Fact }[] = [];
  await redis.subscriber.subscribe(redis.keys.liveChannel('task', orgId));
  redis.subscriber.on('message', (_, message: string) => heard.push(JSON.parse(message)));
  return heard;
}

/** Every first delivery of an aggregate's facts comes in order of versions. */
function disorderIn(facts: Fact[]): number {
  const seen = new Set<string>();
  const last = new Map<string, number>();
  let disorder = 0;
  for (const { id, orgId, aggregate } of facts) {
    if (seen.has(id)) continue;
    seen.add(id);
    const thing = `${orgId} ${aggregate.id}`;
    if (aggregate.version !== (last.get(thing) ?? 0) + 1) disorder += 1;
    last.set(thing, aggregate.version);
  }
  return disorder;
}

/** Like a use case: lock the row and bump its version, then append. Some change their mind. */
async function write(orgId: string, id: string, committed: Fact[], change = Math.random()): Promise<void> {
  const attempt = withTenant({ orgId }, () =>
    transaction(app, async (sql) => {
      const [row] = await sql.query<{ version: number }>(
        `insert into counters values ($1, $2, 1)
         on conflict (org_id, id) do update set version = counters.version + 1 returning version`,
        [orgId, id],
      );
      const fact = aFact({ orgId, aggregateId: id, version: row?.version ?? 0 });
      await appendFacts(sql, [fact]);
      if (change < 0.1) throw new Error('changed our mind');
      return fact;
    }),
  );
  const fact = await attempt.catch(() => null);
  if (fact) committed.push(fact);
}

async function eightWriters(
  relay: Pick<Relay, 'poke'>,
  goesOn: (written: number) => boolean,
): Promise<{ committed: Fact[]; orgs: string[] }> {
  const orgs = Array.from({ length: 3 }, () => randomUUID());
  const things = Array.from({ length: 10 }, () => randomUUID());
  const committed: Fact[] = [];
  const pick = <T>(from: T[]) => from[Math.floor(Math.random() * from.length)] as T;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let n = 0; goesOn(n); n++) {
        await write(pick(orgs), pick(things), committed);
        relay.poke();
      }
    }),
  );
  return { committed, orgs };
}

test('under 8 writers every fact is numbered without gaps and streamed in order of versions, and no other', async () => {
  const relay = aRelay();
  const { committed, orgs } = await eightWriters(relay, (written) => written < 60);
  await untilPublished(committed.length);
  const inStreams = await streamed();
  expect(idsOf(inStreams)).toEqual(idsOf(committed));
  expect(disorderIn(inStreams)).toBe(0);
  const reader = createOutboxReader(app);
  for (const orgId of orgs) {
    const log = await reader.readAfter({ orgId }, 0, 1_000);
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, n) => n + 1));
    expect(await reader.tail({ orgId })).toBe(log.length);
    expect(disorderIn(log.map(({ fact }) => fact))).toBe(0);
  }
  expect(relay.status()).toMatchObject({ numbered: committed.length, published: committed.length });
});

test('a hint is the fact with its position, on its tenant’s channel only', async () => {
  const orgId = randomUUID();
  const heard = await listenTo(orgId);
  aRelay();
  const facts = someFacts(orgId, 3);
  await append(...facts);
  await append(...someFacts(randomUUID(), 3));
  await untilPublished(6);
  await vi.waitUntil(() => heard.length >= 3, DEADLINE);
  expect(heard).toEqual(facts.map((fact, n) => ({ seq: n + 1, fact })));
});

test('what is numbered while the table is read for a backlog goes out once', async () => {
  let isNumbered = () => {};
  const numbered = new Promise<void>((resolve) => {
    isNumbered = resolve;
  });
  let isRead = () => {};
  const read = new Promise<void>((resolve) => {
    isRead = resolve;
  });
  // The first numbering commits, then the table is read, then the numbering's answer arrives.
  const query = async ({ text = '', ...rest }: { text?: string }) => {
    if (text.includes('for share')) {
      const answer = await system.query({ text, ...rest });
      isNumbered();
      await read;
      return answer;
    }
    if (!text.includes('published_at is null and seq is not null')) return system.query({ text, ...rest });
    await numbered;
    const answer = await system.query({ text, ...rest });
    isRead();
    return answer;
  };
  const pool = {
    query: (given: string | object, values?: unknown[]) =>
      query(typeof given === 'string' ? { text: given, ...(values && { values }) } : given),
  };
  await append(...someFacts(randomUUID(), 3));
  const relay = aRelay({ pool: pool as unknown as pg.Pool });
  await untilPublished(3);
  await append(...someFacts(randomUUID(), 1));
  await untilPublished(4);
  expect((await streamed()).length).toBe(4);
  expect(relay.status().published).toBe(4);
});

test('a poke wakes an idle relay at once', async () => {
  const relay = aRelay({ timing: { pollMsMin: 60_000, pollMsMax: 60_000 } });
  await vi.waitUntil(() => relay.status().state === 'leading', DEADLINE);
  await append(aFact({ orgId: randomUUID() }));
  relay.poke();
  await vi.waitUntil(async () => (await streamed()).length === 1, { timeout: 1_000, interval: 5 });
});

test('a batch larger than one round is relayed completely', async () => {
  const orgId = randomUUID();
  await append(...versions(orgId, 1_300));
  aRelay();
  await untilPublished(1_300);
  expect((await streamed()).length).toBe(1_300);
  expect(disorderIn(await streamed())).toBe(0);
  expect(await createOutboxReader(app).tail({ orgId })).toBe(1_300);
});

describe('several relays of one database', () => {
  test('one leads; when it stops it gives the lease back and another leads at once', async () => {
    const [first, second] = [aRelay(), aRelay()];
    const states = () => [first.status().state, second.status().state].sort();
    await vi.waitUntil(() => states().includes('leading'), DEADLINE);
    expect(states()).toEqual(['leading', 'standby']);
    const leader = first.status().state === 'leading' ? first : second;
    await leader.stop();
    await vi.waitUntil(() => states().includes('leading'), { timeout: 1_000, interval: 5 });
    expect(states()).toEqual(['leading', 'stopped']);
  });

  test('a leader that falls silent is replaced within 2 s, and changes nothing when it wakes', async () => {
    const zombie = pausable();
    const first = aRelay({ pool: zombie.pool, redis: zombie.redis });
    await vi.waitUntil(() => first.status().state === 'leading', DEADLINE);
    const [orgId, id] = [randomUUID(), randomUUID()];
    const committed: Fact[] = [];
    // It has numbered v1, and is paused with it in hand, on its way to Redis.
    const paused = zombie.pauseBefore('exec');
    await write(orgId, id, committed, 1);
    first.poke();
    await paused;
    const silentSince = performance.now();
    const second = aRelay();
    await vi.waitUntil(() => second.status().state === 'leading', DEADLINE);
    expect(performance.now() - silentSince).toBeLessThan(2_000);
    for (let n = 0; n < 5; n++) await write(orgId, id, committed, 1);
    await untilPublished(6);
    const batch = async () => (await system.query('select batch, token from relay_lease')).rows;
    const before = await batch();
    zombie.resume();
    await vi.waitUntil(() => first.status().state === 'standby', DEADLINE);
    expect(await batch()).toEqual(before);
    await write(orgId, id, committed, 1);
    await untilPublished(7);
    expect(first.status().published).toBe(0);
    const inStreams = await streamed();
    expect(disorderIn(inStreams)).toBe(0);
    expect(idsOf(committed)).toEqual([...new Set(idsOf(inStreams))]);
    expect(second.status().reappended).toBe(0);
  });

  test('leaders that come and go under 8 writers lose nothing and keep the order', async () => {
    const relays = [pausable(), pausable()].map((stand) => ({
      stand,
      relay: aRelay({
        pool: stand.pool,
        redis: stand.redis,
        timing: { leaseMs: 300, renewMs: 80, standbyMs: 40 },
      }),
    }));
    let pauses = 0;
    const disturbing = (async () => {
      for (; pauses < 8; pauses++) {
        const { stand } = relays[pauses % 2] as (typeof relays)[number];
        stand.pause();
        // Longer than a lease and a look: the other has taken over when this one wakes.
        await new Promise((resolve) => setTimeout(resolve, 380));
        stand.resume();
      }
    })();
    const both = {
      poke: () =>
        relays.forEach(({ relay }) => {
          relay.poke();
        }),
    };
    const { committed, orgs } = await eightWriters(both, () => pauses < 8);
    await disturbing;
    await untilPublished(committed.length);
    const inStreams = await streamed();
    expect([...new Set(idsOf(inStreams))]).toEqual(idsOf(committed));
    expect(disorderIn(inStreams)).toBe(0);
    for (const orgId of orgs) {
      const { rows } = await system.query('select seq::int from outbox where org_id = $1 order by seq', [
        orgId,
      ]);
      const seqs = rows.map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, n) => n + 1));
    }
  });
});

describe('when Redis fails', () => {
  test('numbering goes on and publishing waits until it is back', async () => {
    const own = await startOwnRedis();
    const connections = await own.connect();
    const relay = aRelay({ redis: connections });
    const orgId = randomUUID();
    const id = randomUUID();
    await append(...versions(orgId, 2, 1, id));
    await untilPublished(2);
    await own.kill();
    await append(...versions(orgId, 1_200, 3, id));
    await append(...versions(orgId, 3, 1_203, id));
    await vi.waitUntil(async () => (await count('seq is not null')) === 1_205, DEADLINE);
    expect(relay.status()).toMatchObject({ state: 'leading', isUpToDate: false });
    expect(await count('published_at is not null')).toBe(2);
    await own.restart();
    await untilPublished(1_205);
    expect(new Set(idsOf(await streamed(connections))).size).toBe(1_205);
    expect(disorderIn(await streamed(connections))).toBe(0);
    await vi.waitUntil(() => relay.status().isUpToDate, DEADLINE);
  });

  test('a Redis that does not answer holds up nothing but publishing', async () => {
    const own = await startOwnRedis();
    const connections = await own.connect();
    aRelay({ redis: connections });
    const orgId = randomUUID();
    await append(...someFacts(orgId, 1));
    await untilPublished(1);
    own.freeze();
    try {
      for (let n = 2; n < 6; n++) {
        await append(...someFacts(orgId, 1));
        await vi.waitUntil(async () => (await createOutboxReader(app).tail({ orgId })) === n, {
          timeout: 1_000,
          interval: 5,
        });
      }
    } finally {
      own.resume();
    }
    await untilPublished(5);
  });

  test('a Redis that was emptied gets all retained facts again, and then the new ones', async () => {
    const own = await startOwnRedis();
    const connections = await own.connect();
    const relay = aRelay({ redis: connections });
    const [orgId, id] = [randomUUID(), randomUUID()];
    await append(...versions(orgId, 1_150, 1, id));
    await untilPublished(1_150);
    await connections.commands.flushall();
    await append(...versions(orgId, 1, 1_151, id));
    await untilPublished(1_151);
    const again = await streamed(connections);
    expect(again.length).toBe(1_151);
    expect(disorderIn(again)).toBe(0);
    expect(relay.status().reappended).toBe(1_150);
  });

  test('an idle relay notices as well, and so does the next leader', async () => {
    const orgId = randomUUID();
    const first = aRelay({ timing: { sentinelMs: 50 } });
    await append(...someFacts(orgId, 30));
    await untilPublished(30);
    const empty = async () => redis.commands.del(await redis.commands.keys(`${redis.prefix}*`));
    await empty();
    await vi.waitUntil(async () => (await streamed()).length === 30, DEADLINE);
    await first.stop();
    await empty();
    aRelay();
    await vi.waitUntil(async () => (await streamed()).length === 30, DEADLINE);
  });

  test('a replica that lacked the last batch when it was promoted gets it again', async () => {
    const relay = aRelay({ timing: { sentinelMs: 50 } });
    const orgId = randomUUID();
    await append(...someFacts(orgId, 1));
    await untilPublished(1);
    await append(...someFacts(orgId, 1));
    await untilPublished(2);
    const sentinel = redis.keys.sentinel('task');
    const known = Number(await redis.commands.get(sentinel));
    await redis.commands.set(sentinel, known - 1);
    await vi.waitUntil(() => relay.status().reappended === 2, DEADLINE);
    await vi.waitUntil(async () => Number(await redis.commands.get(sentinel)) === known, DEADLINE);
  });
});

test('a PostgreSQL that was killed and started again is served on, and nothing is lost', async () => {
  const own = await startOwnPostgres();
  const { appUrl, systemUrl } = own.urlsOf('task');
  const [ownApp, ownSystem] = [
    new TenantPool({ connectionString: appUrl }),
    createSystemPool({ connectionString: systemUrl }),
  ];
  onTestFinished(() => Promise.all([ownApp.end(), ownSystem.end()]).then(() => {}));
  const relay = aRelay({ pool: ownSystem });
  const orgId = randomUUID();
  const id = randomUUID();
  const appendOne = (version: number) =>
    withTenant({ orgId }, () =>
      transaction(ownApp, (sql) => appendFacts(sql, [aFact({ orgId, aggregateId: id, version })])),
    );
  await appendOne(1);
  await vi.waitUntil(() => relay.status().published === 1, DEADLINE);
  await appendOne(2);
  await own.kill();
  await own.restart();
  await vi.waitUntil(
    () =>
      appendOne(3).then(
        () => true,
        () => false,
      ),
    DEADLINE,
  );
  await vi.waitUntil(async () => new Set(idsOf(await streamed())).size === 3, DEADLINE);
  expect(disorderIn(await streamed())).toBe(0);
  await relay.stop();
});

describe('upkeep', () => {
  const timing = { upkeepMs: 40 };

  test('trims only what every expected group has acknowledged', async () => {
    aRelay({ timing, consumers: ['org', 'notification'] });
    const orgId = randomUUID();
    const aggregateId = randomUUID();
    await append(...Array.from({ length: 10 }, (_, n) => aFact({ orgId, aggregateId, version: n + 1 })));
    await untilPublished(10);
    const streams = Array.from({ length: WORK_PARTITIONS }, (_, p) => redis.keys.workStream('task', p));
    const lengths = await Promise.all(streams.map((key) => redis.commands.xlen(key)));
    const stream = streams[lengths.indexOf(10)] ?? '';
    const left = () => redis.commands.xlen(stream);
    const consume = async (group: string, acknowledge: number) => {
      await redis.commands.xgroup('CREATE', stream, group, '0');
      const read = await redis.commands.xreadgroup('GROUP', group, 'c', 'COUNT', 10, 'STREAMS', stream, '>');
      const entries = ((read as [string, [string, string[]][]][] | null)?.[0]?.[1] ?? []).map(([id]) => id);
      await redis.commands.xack(stream, group, ...entries.slice(0, acknowledge));
      return entries;
    };
    await consume('org', 10);
    // Several rounds of upkeep pass; the other group does not exist yet.
    await expect(
      vi.waitUntil(async () => (await left()) < 10, { timeout: 200, interval: 20 }),
    ).rejects.toThrow();
    const entries = await consume('notification', 4);
    await vi.waitUntil(async () => (await left()) === 6, DEADLINE);
    await redis.commands.xack(stream, 'notification', ...entries);
    await vi.waitUntil(async () => (await left()) === 1, DEADLINE);
  });

  test('a source without consumers is trimmed by age', async () => {
    const stream = redis.keys.workStream('task', 0);
    const old = Date.now() - 80 * 3_600_000;
    await redis.commands.xadd(stream, `${old}-0`, 'fact', '{}');
    await redis.commands.xadd(stream, '*', 'fact', '{}');
    aRelay({ timing, consumers: [] });
    await vi.waitUntil(async () => (await redis.commands.xlen(stream)) === 1, DEADLINE);
  });

  test('days are dropped once they are over for 72 h and published to the last fact', async () => {
    const day = (ago: number) => new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10);
    const nameOf = (ago: number) => `outbox_${day(ago).replaceAll('-', '')}`;
    for (const ago of [3, 5, 6]) {
      const bounds = `('${day(ago)} 00:00:00+00') to ('${day(ago - 1)} 00:00:00+00')`;
      await database.run(
        'owner',
        `create table ${nameOf(ago)} partition of outbox for values from ${bounds}`,
      );
      await database.run(
        'superuser',
        `insert into outbox (org_id, fact_id, type, aggregate_type, aggregate_id, aggregate_version, envelope,
           occurred_at, seq, published_at)
         select gen_random_uuid(), gen_random_uuid(), 't', 't', gen_random_uuid(), 1, '{}', '${day(ago)} 12:00:00+00',
           ${ago === 6 ? 'null, null' : '1, now()'}`,
      );
    }
    const existing = async () => {
      const { rows } = await database.run(
        'owner',
        `select relname from pg_class where relname in ('${[3, 5, 6].map(nameOf).join("','")}') order by 1 desc`,
      );
      return rows.map((row) => row.relname);
    };
    const pool = database.system();
    await pool.query(`select outbox_drop_partitions('72 hours')`);
    expect(await existing()).toEqual([nameOf(3), nameOf(6)]);
    aRelay({ timing });
    await vi.waitUntil(async () => (await existing()).length === 1, DEADLINE);
    await database.run('owner', `drop table ${nameOf(3)}`);
  });

  test('forgets inbox rows and idempotency keys that are too old', async () => {
    const orgId = randomUUID();
    await database.run(
      'superuser',
      `insert into inbox select '${orgId}', 'x', gen_random_uuid(), now() - n * interval '1 day' from generate_series(0, 20) n;
       insert into idempotency_keys select '${orgId}', '${orgId}', n::text, 'f', 'h', '[]', now() - n * interval '9 hours'
       from generate_series(0, 9) n`,
    );
    aRelay({ timing });
    const kept = async () => {
      const { rows } = await system.query(
        'select (select count(*)::int from inbox) as inbox, (select count(*)::int from idempotency_keys) as keys',
      );
      return rows[0];
    };
    await vi.waitFor(async () => expect(await kept()).toEqual({ inbox: 12, keys: 3 }), DEADLINE);
  });

  test('a write of a day without a partition is kept all the same', async () => {
    const day = '2031-05-05';
    await database.run(
      'superuser',
      `insert into outbox (org_id, fact_id, type, aggregate_type, aggregate_id, aggregate_version, envelope, occurred_at)
       select gen_random_uuid(), gen_random_uuid(), 't', 't', gen_random_uuid(), 1, '{"id":1}', '${day}'`,
    );
    aRelay({ timing });
    await untilPublished(1);
  });
});

test('a retention below 72 hours is refused: cursors promise it', () => {
  const options = { source: 'task', pool: system, redis, consumers: [], log, timing: { keepMs: 3_600_000 } };
  expect(() => createRelay(options)).toThrow('72 hours');
});

/**
 * Stands for SIGSTOP: while paused, nothing this relay says reaches PostgreSQL or Redis and no answer reaches it.
 */
function pausable() {
  let gate: Promise<void> = Promise.resolve();
  let open = () => {};
  let trap: { name: string; caught: () => void } | null = null;
  const pause = () => {
    gate = new Promise((resolve) => {
      open = resolve;
    });
  };
  const through = (name: string, call: () => Promise<unknown>) => async () => {
    if (trap?.name === name) {
      pause();
      trap.caught();
      trap = null;
    }
    await gate;
    const answer = await call();
    await gate;
    return answer;
  };
  const guard = <T extends object>(target: T, sync: string[] = []): T =>
    new Proxy(target, {
      // biome-ignore lint/suspicious/noExplicitAny: a stand-in for any member of a pool, a client or a pipeline
      get(_, name: string): any {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name === 'pipeline') return () => guard(value.call(target), ['publish', 'xadd', 'eval']);
        if (sync.includes(name)) return value.bind(target);
        return (...args: unknown[]) => through(name, () => value.apply(target, args))();
      },
    });
  return {
    pool: guard(system),
    redis: { ...redis, commands: guard(redis.commands) } as RedisConnections,
    pause,
    /** Pauses at the next call of that name; resolves when it has happened. */
    pauseBefore: (name: string) =>
      new Promise<void>((caught) => {
        trap = { name, caught };
      }),
    resume: () => open(),
  };
}
