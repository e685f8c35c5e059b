/**
 * Tries the table. Nothing may be shown, named or changed across the border of two organisations, nor within one against
 * the rules.
 *
 *   1  ours:      reads, and every call with a strange id. Nothing is written, so that answers can be compared
 *   2  ours:      what is allowed, one after the other, and the subscriptions
 *                 ─▶ no row of theirs has changed
 *   3  theirs:    the same by an outsider, who names our things
 *                 ─▶ no row of ours has changed
 */
import type { Behind } from '../../kit/behind.ts';
import type { Answer, TestClient } from '../../kit/client.ts';
import type { TestSupergraph } from '../../kit/supergraph.ts';
import { ROLES, type Role } from '../rules/rule.ts';
import { hidden, operations as operationRules } from '../rules/table.ts';
import { readSubjects } from '../supergraph-schema.ts';
import { comparable, idsIn, outcomeOf, overstepsIn, type Seen, type Told, understatedIn } from './answers.ts';
import { type Case, casesOf, type Kind, personRoleOf, type Sides, sideOf, triedRoles } from './cases.ts';
import { type Operation, operationOf } from './documents.ts';
import { aScene } from './scene.ts';
import { trySubscriptions } from './subscriptions.ts';
import { createTenantPrints, type TenantPrints } from './tenant-prints.ts';

/** In every name and title of the other organisation, and of ours. */
const CANARIES = { ours: 'Ourselves', theirs: 'Zzforeign' };

/** Limits of the router for documents that select everything there is. */
export const WIDE = {
  ...{ ROUTER_COST_MAX: '0', ROUTER_DEPTH_MAX: '30' },
  ...{ ROUTER_TOKENS_MAX: '20000', ROUTER_SELECTIONS_MAX: '100000', ROUTER_ALIASES_MAX: '1000' },
  ...{ ROUTER_DOCUMENT_BYTES_MAX: '524288', ROUTER_SUBGRAPH_TIMEOUT_MS: '30000' },
};

/** Requests at once: the half second that an absent reference is waited for passes for all of them together. */
const AT_ONCE = 8;

export interface MatrixReport {
  /** Each cell that is not what its rule says, one sentence each. */
  findings: string[];
  cases: number;
  operations: number;
  seen: Seen;
  ms: number;
}

export interface World {
  readonly supergraph: TestSupergraph;
  readonly behind: Behind;
  readonly prints: TenantPrints;
  readonly sides: Sides;
}

/** Call it in beforeAll. */
export async function aWorld(supergraph: TestSupergraph, behind: Behind): Promise<World> {
  const prints = await createTenantPrints(behind);
  const [ours, theirs] = await Promise.all([
    aScene(supergraph.client, CANARIES.ours),
    aScene(supergraph.client, CANARIES.theirs),
  ]);
  await behind.settled();
  return { supergraph, behind, prints, sides: { ours, theirs } };
}

/** Which part of the table to try; all of it where nothing is said. */
export interface Part {
  readonly operation?: (operation: Operation) => boolean;
  readonly kinds?: readonly Kind[];
}

/** Call it in a test: its sockets close when that test ends. */
export async function tryMatrix(world: World, part: Part = {}): Promise<MatrixReport> {
  const startedAt = performance.now();
  const { sides, behind, prints } = world;
  const { schema, operations: subjects } = readSubjects();
  const operations = subjects
    .map(({ key }) => operationOf(schema, key))
    .filter(part.operation ?? (() => true));
  const seen: Seen = { shown: new Set(), types: new Set() };
  const cases: Case[] = [];
  for (const operation of operations) {
    const made = triedRoles(operation).map((role) => casesOf(operation, role, sides));
    const { kinds } = part;
    cases.push(...(await Promise.all(made)).flat().filter(({ kind }) => kinds?.includes(kind) ?? true));
  }
  await behind.settled();

  const findings: string[] = [];
  const given = new Set(cases.filter(({ isGiven }) => isGiven).map(({ sent }) => sent));
  const isHttp = ({ operation }: Case) => operation.kind !== 'Subscription';
  for (const side of ['ours', 'theirs'] as const) {
    const tried = cases.filter(({ role }) => (role === 'OUTSIDER') === (side === 'theirs'));
    const bystander = side === 'ours' ? sides.theirs : sides.ours;
    const border = {
      ids: new Set([...(await prints.ids(bystander.orgId))].filter((id) => !given.has(id))),
      canary: new RegExp(side === 'ours' ? CANARIES.theirs : CANARIES.ours, 'i'),
    };
    const before = await prints.of(bystander.orgId);
    const judge = createJudge(world, border, seen, findings);

    await inParallel(
      AT_ONCE,
      tried.filter((one) => isHttp(one) && !one.isWrite),
      judge.try,
    );
    for (const one of tried.filter((one) => isHttp(one) && one.isWrite)) await judge.try(one);
    await trySubscriptions(
      world,
      tried.filter((one) => !isHttp(one)),
      judge,
    );
    findings.push(...judge.differences());
    if (side === 'ours') findings.push(...(await tryHidden(world)));

    await behind.settled();
    const after = await prints.of(bystander.orgId);
    for (const [table, print] of Object.entries(after)) {
      if (print !== before[table]) findings.push(`${table}: rows of the other organisation have changed`);
    }
  }
  findings.push(...understatedIn(seen));
  return {
    findings,
    cases: cases.length,
    operations: operations.length,
    seen,
    ms: performance.now() - startedAt,
  };
}

export interface Border {
  /** What must not be in an answer: the other organisation's identifiers, and the word in all of its names. */
  readonly ids: ReadonlySet<string>;
  readonly canary: RegExp;
}

export interface Judge {
  /** Makes the call and looks at its answer. */
  try(one: Case): Promise<void>;
  /** Looks at an answer that came by another way. */
  look(one: Case, text: string, told: Told, callerId?: string): void;
  complain(one: Case, complaint: string): void;
  /** Answers of one group that are not the same bytes. */
  differences(): string[];
}

function createJudge({ supergraph, sides }: World, border: Border, seen: Seen, findings: string[]): Judge {
  const groups = new Map<string, { one: Case; text: string }[]>();

  const complain = ({ operation, role, kind, at }: Case, complaint: string) => {
    const with_ = at === '' ? 'with own things' : `with ${kind} id in ${at}`;
    findings.push(`${operation.key} as ${role} ${with_}: ${complaint}`);
  };

  const look: Judge['look'] = (one, text, told, callerId) => {
    const { operation, role, expected, group, sent } = one;
    const outcome = outcomeOf(operation.name, told);
    if (!expected.includes(outcome)) {
      complain(one, `${outcome} instead of ${expected.join(' or ')} (${text.slice(0, 300)})`);
    }
    const named = idsIn(JSON.stringify(one.args));
    const unseen =
      role === 'ANONYMOUS' ? new Set<string>() : sideOf(role, sides).invisibleIds(personRoleOf(role));
    for (const id of idsIn(text)) {
      if (named.has(id)) continue;
      if (border.ids.has(id)) complain(one, `shows ${id}, which belongs to the other organisation`);
      if (unseen.has(id) && !operationRules.get(operation.key)?.isHistory)
        complain(one, `shows ${id}, which ${role} must not see`);
    }
    if (border.canary.test(text)) complain(one, 'shows a name of the other organisation');
    const viewer = viewerAfter(told.data) ?? {
      role,
      id: callerId ?? sideOf(role, sides).people[personRoleOf(role)].id,
    };
    for (const overstep of new Set(overstepsIn(told.data, viewer, seen))) complain(one, overstep);
    if (group !== null) {
      groups.set(group, [...(groups.get(group) ?? []), { one, text: comparable(text, sent) }]);
    }
  };

  return {
    complain,
    look,
    async try(one) {
      const { client, callerId } = await callerOf(one, supergraph.client, sides);
      const { document, thin, kind } = one.operation;
      // What must not be there is seen by its id; everything is opened where something is expected.
      const documents = one.kind !== 'own' ? [thin] : kind === 'Query' ? [document, thin] : [document];
      for (const text of documents) {
        const answer = await sendPatiently(client, text, one.args);
        look(one, `${answer.status} ${answer.text}`, answer, callerId);
      }
    },
    differences: () =>
      [...groups.values()].flatMap((answers) => {
        const absent = answers.find(({ one }) => one.kind === 'absent');
        return answers
          .filter(({ text }) => text !== absent?.text)
          .map(
            ({ one, text }) =>
              `${one.operation.key} as ${one.role} with ${one.kind} id in ${one.at}: not the bytes of an absent one: ` +
              `${text.slice(0, 300)} ≠ ${absent?.text.slice(0, 300)}`,
          );
      }),
  };
}

/** Who signs in is the viewer of the rest of the answer. */
function viewerAfter(data: Record<string, unknown> | null): { role: Role; id: string } | null {
  const [payload] = Object.values(data ?? {}) as { __typename?: string; user?: { id: string; role: Role } }[];
  return (payload?.__typename === 'AuthPayload' && payload.user) || null;
}

/** No rule says that a part is unavailable or slow: a machine that is too busy is asked again. */
async function sendPatiently(client: TestClient, text: string, args: object): Promise<Answer> {
  let answer = await client.send(text, args);
  for (let retry = 0; retry < 3 && answer.errors.some(isBusy); retry++)
    answer = await client.send(text, args);
  return answer;
}

const isBusy = ({ extensions: { code } }: Answer['errors'][number]): boolean =>
  code === 'SUBGRAPH_UNAVAILABLE' || code === 'TIMEOUT';

/** As whom, and in which session, a call is made. */
export async function callerOf(one: Case, client: TestClient, sides: Sides) {
  if (one.role === 'ANONYMOUS') return { client: client.as(null), callerId: '' };
  const scene = sideOf(one.role, sides);
  const role = personRoleOf(one.role);
  if (one.role === 'API_KEY') return { client: client.as(scene.apiKey), callerId: scene.people[role].id };
  const how = one.kind === 'own' ? operationRules.get(one.operation.key)?.as : undefined;
  const person = how === 'newcomer' ? await scene.newcomer(role) : scene.people[role];
  const token = how === 'session' ? (await scene.session(person)).accessToken : person.accessToken;
  return { client: client.as(token), callerId: person.id };
}

/** Fields that are not for clients are not there for them. */
async function tryHidden({ supergraph, sides }: World): Promise<string[]> {
  const callers = ROLES.map((role) => ({ role, ...personOf(role, sides) }));
  const tries = [...hidden.keys()].flatMap((key) => callers.map((caller) => ({ key, ...caller })));
  const found = tries.map(async ({ key, role, token }) => {
    const [type = '', name = ''] = key.split('.');
    const { errors } = await supergraph.client.as(token).send(`${type.toLowerCase()} { ${name} }`);
    const code = errors[0]?.extensions.code ?? 'yes';
    return code === 'GRAPHQL_VALIDATION_FAILED' && errors[0]?.message.startsWith('Cannot query field')
      ? []
      : [`${key} as ${role}: ${code}, and is not for clients`];
  });
  return (await Promise.all(found)).flat();
}

function personOf(role: Role, sides: Sides): { token: string | null } {
  if (role === 'ANONYMOUS') return { token: null };
  const scene = sideOf(role, sides);
  return { token: role === 'API_KEY' ? scene.apiKey : scene.people[personRoleOf(role)].accessToken };
}

async function inParallel<T>(width: number, items: readonly T[], work: (item: T) => Promise<void>) {
  const queue = [...items];
  const worker = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
