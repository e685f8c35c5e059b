import { randomUUID } from 'node:crypto';
import { bytesOf } from '@taskflow/tests/kit/client';
import { aViewer } from '@taskflow/tests/kit/subgraph';
import { beforeAll, describe, expect, it } from 'vitest';
import { AUTH, anEmail, aScene, PASSWORD, type Person, REGISTER, type Scene } from './scene.ts';

let scene: Scene;
let ada: Person;

beforeAll(async () => {
  scene = await aScene();
  ada = await scene.founder();
});

const input = (changes: object = {}) => ({
  ...{ name: 'Ada', email: anEmail(), password: PASSWORD, organizationName: 'Acme' },
  ...changes,
});

describe('register', () => {
  it('founds an organisation and signs its ORG_ADMIN in, for the rest of the operation as well', async () => {
    const email = anEmail('Ada.Lovelace');
    const answer = await scene.send(REGISTER, input({ email: ` ${email.toUpperCase()} `, name: ' Ada ' }));
    const { auth } = answer;
    expect(auth).toMatchObject({ success: true, userErrors: [] });
    expect(auth.user).toMatchObject({
      ...{ name: 'Ada', email: email.toLowerCase(), role: 'ORG_ADMIN', status: 'ACTIVE' },
      ...{ isViewer: true, version: 1 },
    });
    const viewer = scene.viewerOf(answer);
    expect(viewer).toMatchObject({ userId: auth.user.id, role: 'ORG_ADMIN' });
    expect(auth.user.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    expect(viewer.orgId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    const asked = await scene.user.ask(viewer, '{ viewer { id email isViewer createdAt archivedAt } }');
    expect(asked.viewer).toMatchObject({ id: auth.user.id, email: email.toLowerCase(), isViewer: true });
  });

  it('refuses a taken address, in any case, and writes nothing', async () => {
    const before = await scene.sql('select from members');
    const { auth } = await scene.send(REGISTER, input({ email: ada.email.toUpperCase() }));
    expect(auth).toMatchObject({ success: false, user: null, accessToken: null });
    expect(auth.userErrors).toMatchObject([{ code: 'CONFLICT', field: 'email' }]);
    expect(await scene.sql('select from members')).toHaveLength(before.length);
  });

  it('makes one account when the same person registers ten times at once', async () => {
    const same = input();
    const answers = await Promise.all(Array.from({ length: 10 }, () => scene.send(REGISTER, same)));
    expect(answers.filter(({ auth }) => auth.success)).toHaveLength(1);
    const others = answers.filter(({ auth }) => !auth.success).map(({ auth }) => auth.userErrors[0]?.code);
    expect(new Set(others)).toEqual(new Set(['CONFLICT']));
    expect(await scene.sql('select from members where email = $1', [same.email])).toHaveLength(1);
  });

  it.each([
    ['an address that is none', { email: 'ada' }, 'email'],
    ['an address with a zero byte', { email: 'a\0da@acme.test' }, 'email'],
    ['an address that is too long', { email: `${'a'.repeat(60)}@${'b.'.repeat(100)}test` }, 'email'],
    ['a password of 7 characters', { password: '1234567' }, 'password'],
    ['a password of 257 characters', { password: 'x'.repeat(257) }, 'password'],
    ['a password that is tried first', { password: 'P@ssword2024' }, 'password'],
    ['a password with the name in it', { password: 'i am Lovelace!', name: 'Ada Lovelace' }, 'password'],
    ['an empty name', { name: '  ' }, 'name'],
    ['a name that nobody can see', { name: '\u200b\u2060' }, 'name'],
    ['a name of 201 characters', { name: 'x'.repeat(201) }, 'name'],
    ['a name with a zero byte', { name: 'A\0da' }, 'name'],
    ['an empty name of the organisation', { organizationName: '' }, 'organizationName'],
    ['a long name of the organisation', { organizationName: 'x'.repeat(201) }, 'organizationName'],
  ])('refuses %s as BAD_USER_INPUT and names the field', async (_what, changes, field) => {
    const { auth } = await scene.send(REGISTER, input(changes));
    expect(auth).toMatchObject({ success: false, userErrors: [{ code: 'BAD_USER_INPUT', field }] });
  });

  it('takes names of 200 characters and passwords of 8 and 256', async () => {
    for (const password of ['vy8-qx!k', '🔑'.repeat(256)]) {
      const name = '🙂'.repeat(200);
      const { auth } = await scene.send(REGISTER, input({ password, name, organizationName: name }));
      expect(auth.userErrors).toEqual([]);
      expect(auth.user.name).toBe(name);
    }
  });

  it('is open to somebody who is signed in, and signs them in as the new person', async () => {
    const answer = await scene.user.send(ada.viewer, REGISTER, { input: input({ name: 'Countess' }) });
    const viewer = scene.viewerOf(answer);
    expect(viewer.orgId).not.toBe(ada.viewer.orgId);
    expect(answer.data).toMatchObject({ register: { user: { name: 'Countess', isViewer: true } } });
  });

  it('answers clientMutationId and keeps no password and no token in the clear', async () => {
    const secret = `s3cret-${randomUUID()}`;
    const given = input({ password: secret, clientMutationId: 'c1' });
    const answer = await scene.user.send(
      null,
      `mutation ($input: RegisterInput!) { register(input: $input) { clientMutationId ${AUTH} } }`,
      { input: given },
    );
    const { register } = answer.data as { register: { clientMutationId: string; refreshToken: string } };
    expect(register.clientMutationId).toBe('c1');
    const tables = ['accounts', 'members', 'sessions', 'refresh_tokens', 'outbox', 'login_attempts'];
    for (const table of tables) {
      const rows = JSON.stringify(await scene.sql(`select t::text from ${table} t`));
      expect(rows).not.toContain(secret);
      expect(rows).not.toContain(register.refreshToken);
      // The secret may have underscores of its own.
      expect(rows).not.toContain(register.refreshToken.split('_').slice(2).join('_'));
    }
    const [account] = await scene.sql<{ hash: string }>(
      'select password_hash as hash from accounts where email = $1',
      [given.email],
    );
    expect(account?.hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });
});

describe('viewer', () => {
  it('is refused to nobody, and to somebody who is not there', async () => {
    expect(await scene.user.send(null, '{ viewer { id } }')).toMatchObject({ status: 401, data: null });
    const { errors } = await scene.user.send(aViewer(), '{ viewer { id } }');
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  });
});

describe('users', () => {
  const NODES = 'nodes { id } pageInfo { hasNextPage hasPreviousPage endCursor } totalCount';
  let boss: Person;
  let team: Person[];

  beforeAll(async () => {
    boss = await scene.founder('Boss');
    team = [boss];
    for (const role of ['MANAGER', 'MEMBER', 'GUEST']) team.push(await scene.colleague(boss, role));
  });

  it('lists the organisation in the order of joining, page by page, and nobody else', async () => {
    const query = `query ($after: String) { users(first: 3, after: $after) { ${NODES} } }`;
    const first = (await scene.user.ask(boss.viewer, query)).users;
    expect(first).toMatchObject({ totalCount: 4, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const second = (await scene.user.ask(boss.viewer, query, { after: first.pageInfo.endCursor })).users;
    expect(second.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
    const ids = [...first.nodes, ...second.nodes].map((node: { id: string }) => node.id);
    expect(ids).toEqual(team.map((person) => person.user.id));
  });

  it('filters by name, address, role and status', async () => {
    const query = `query ($filter: UserFilter) { users(filter: $filter) { ${NODES} } }`;
    const found = async (filter: object) =>
      (await scene.user.ask(boss.viewer, query, { filter })).users.nodes.map((n: { id: string }) => n.id);
    expect(await found({ role: { in: ['MANAGER', 'GUEST'] } })).toEqual([team[1]?.user.id, team[3]?.user.id]);
    expect(await found({ name: { contains: 'BOS' } })).toEqual([boss.user.id]);
    expect(await found({ email: { eq: team[2]?.email } })).toEqual([team[2]?.user.id]);
    const shouted = team[2]?.email.toUpperCase();
    expect(await found({ email: { eq: shouted } })).toEqual([team[2]?.user.id]);
    expect(await found({ email: { in: [shouted, 'Nobody@acme.test'] } })).toEqual([team[2]?.user.id]);
    expect(await found({ status: { neq: 'ACTIVE' } })).toEqual([]);
    expect(await found({ name: { contains: '%' } })).toEqual([]);
  });

  it('shows a GUEST only themselves', async () => {
    const guest = team[3] as Person;
    const { users } = await scene.user.ask(guest.viewer, `{ users { ${NODES} } }`);
    expect(users).toMatchObject({ nodes: [{ id: guest.user.id }], totalCount: 1 });
  });

  it.each([-1, 101, 2_000_000_000])('refuses first: %i', async (first) => {
    const { errors } = await scene.user.send(
      boss.viewer,
      'query ($first: Int) { users(first: $first) { nodes { id } } }',
      { first },
    );
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });

  it('refuses a cursor that is garbage, changed, of another filter or of another tenant, all alike', async () => {
    const query =
      'query ($after: String, $filter: UserFilter) { users(after: $after, filter: $filter) { nodes { id } } }';
    const own = (await scene.user.ask(boss.viewer, '{ users(first: 1) { pageInfo { endCursor } } }')).users
      .pageInfo.endCursor;
    expect((await scene.user.send(boss.viewer, query, { after: own })).errors).toEqual([]);
    const answers = [
      await scene.user.send(boss.viewer, query, { after: 'garbage' }),
      await scene.user.send(boss.viewer, query, {
        after: `${own.slice(0, -1)}${own.endsWith('A') ? 'B' : 'A'}`,
      }),
      await scene.user.send(boss.viewer, query, { after: own, filter: { role: { eq: 'GUEST' } } }),
      await scene.user.send(ada.viewer, query, { after: own }),
    ];
    expect(answers[0]?.errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
    expect(new Set(answers.map(bytesOf)).size).toBe(1);
  });

  it('takes two statements with its count, however many people there are', async () => {
    const count = async (first: number) => {
      scene.user.statements.length = 0;
      await scene.user.ask(
        boss.viewer,
        `query ($first: Int) { users(first: $first) { nodes { id name email role status isViewer } totalCount } }`,
        { first },
      );
      return scene.user.statements.length;
    };
    for (let n = 0; n < 97; n++) {
      const id = randomUUID();
      await scene.sql(`insert into accounts (id, email, password_hash) values ($1, $2, 'x')`, [
        id,
        `${id}@x.test`,
      ]);
      await scene.sql(
        `insert into members (org_id, id, name, email, role) values ($1, $2, 'N', $3, 'MEMBER')`,
        [boss.viewer.orgId, id, `${id}@x.test`],
      );
    }
    expect([await count(1), await count(10), await count(100)]).toEqual([2, 2, 2]);
  });
});

describe('a direct call', () => {
  it.each(['{ users { nodes { id } } }', '{ _service { sdl } }', 'mutation { logout { success } }'])(
    'without a session is refused for %s',
    async (query) => {
      const answer = await scene.user.send(null, query);
      expect(answer).toMatchObject({ status: 401, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] });
    },
  );
});
