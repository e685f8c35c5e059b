/** The subscriptions of the table, over one WebSocket for each role. */
import { openSocket, type TestSocket, type TestSubscription } from '../../kit/socket.ts';
import type { Role } from '../rules/rule.ts';
import { operations as operationRules } from '../rules/table.ts';
import { type Case, personRoleOf, sideOf } from './cases.ts';
import type { Judge, World } from './matrix.ts';

export async function trySubscriptions(world: World, cases: readonly Case[], judge: Judge): Promise<void> {
  const byRole = Map.groupBy(cases, ({ role }) => role);
  await Promise.all([...byRole].map(([role, own]) => tryRole(world, role, own, judge)));
}

async function tryRole(
  { supergraph, sides }: World,
  role: Role,
  cases: readonly Case[],
  judge: Judge,
): Promise<void> {
  const scene = sideOf(role, sides);
  const person = scene.people[personRoleOf(role)];
  if (role === 'ANONYMOUS') {
    const refusal = await openSocket(supergraph.url, null).then(
      () => 'was let in',
      (error: Error) => (error.message.includes('UNAUTHENTICATED') ? null : error.message),
    );
    for (const one of cases) if (refusal !== null) judge.complain(one, refusal);
    return;
  }
  const socket = await openSocket(supergraph.url, role === 'API_KEY' ? scene.apiKey : person.accessToken);
  const isRefused = ({ expected }: Case) => !expected.includes('yes') && !expected.includes('empty');
  await Promise.all(cases.filter(isRefused).map((one) => expectRefusal(socket, one, judge)));

  // Something happens that is told to the subscriptions with own things, and not to those that compare with strange ids.
  const open = cases.filter((one) => !isRefused(one));
  const listening = open.map((one) => ({ one, subscription: subscribe(socket, one) }));
  const things = new Set(open.flatMap(({ operation }) => operationRules.get(operation.key)?.tellsOf ?? []));
  const told = Promise.all(
    listening
      .filter(({ one }) => one.kind === 'own')
      .map(async ({ one, subscription }) => {
        let frame = await subscription.frame();
        while (isHeartbeat(frame)) frame = await subscription.frame();
        look(one, frame, judge);
      }),
  );
  // A subscription begins a moment after it was asked for: it is stirred until the frames are there.
  let isTold = false;
  const done = told.finally(() => {
    isTold = true;
  });
  while (!isTold) {
    // On a machine that is too busy the next one will do; without any, the frames below do not come.
    for (const thing of things) await scene.stir(thing, personRoleOf(role)).catch(() => {});
    await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 300))]);
  }
  await done;
  for (const { one, subscription } of listening.filter(({ one }) => one.kind !== 'own')) {
    const frame = subscription.waiting.find((frame) => !isHeartbeat(frame));
    if (frame) judge.complain(one, `was told of something: ${JSON.stringify(frame).slice(0, 300)}`);
    judge.look(one, '', { data: { [one.operation.name]: 'silence' }, errors: [] });
  }
  // Who stays connected goes on being noted, as a key's last use is.
  socket.cut();
}

type Frame = Awaited<ReturnType<TestSubscription['frame']>>;

const isHeartbeat = ({ payload }: Frame): boolean =>
  Object.values<{ __typename?: string }>(payload?.data ?? {})[0]?.__typename === 'StreamHeartbeat';

const subscribe = (socket: TestSocket, { operation, args }: Case): TestSubscription =>
  socket.subscribe(operation.document, args);

async function expectRefusal(socket: TestSocket, one: Case, judge: Judge): Promise<void> {
  look(one, await subscribe(socket, one).frame(), judge);
}

function look(one: Case, frame: Frame, judge: Judge): void {
  const { type, payload } = frame;
  const errors = type === 'error' ? payload : (payload?.errors ?? []);
  const text = JSON.stringify({ type, payload });
  judge.look(one, text, { data: payload?.data ?? null, errors });
}
