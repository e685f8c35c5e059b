/** The first minute of somebody new: nothing that they are told exists is missing in another subgraph. */
import { beforeAll, expect, it } from 'vitest';
import { anOrg, PASSWORD } from '../../kit/seed.ts';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';

let supergraph: TestSupergraph;
beforeAll(async () => {
  supergraph = await aSupergraph();
});

const EVERYWHERE = `id name role organization { name settings { taskVisibility } }
  teams { name } notificationCounts { unread unseen } openTaskCount`;

it('whoever signs in gets fields of all four subgraphs in the same request', async () => {
  const ada = await anOrg(supergraph.client, 'Ada');
  const { login } = await supergraph.client.ask<{ login: { user: object } }>(
    `mutation Login($input: LoginInput!) { login(input: $input) { success user { ${EVERYWHERE} } } }`,
    { input: { email: ada.email, password: PASSWORD } },
  );
  expect(login.user).toEqual({
    ...{ id: ada.id, name: 'Ada', role: 'ORG_ADMIN' },
    organization: { name: expect.stringContaining('Acme'), settings: { taskVisibility: 'ASSIGNED' } },
    ...{ teams: [], notificationCounts: { unread: 0, unseen: 0 }, openTaskCount: 0 },
  });
});

it('whoever registers gets them too, in the same request', async () => {
  const input = { email: 'new@acme.test', password: PASSWORD, name: 'Lin', organizationName: 'Lin & Co' };
  const { register } = await supergraph.client.ask<{ register: { user: object } }>(
    `mutation Register($input: RegisterInput!) { register(input: $input) { success user { ${EVERYWHERE} } } }`,
    { input },
  );
  expect(register.user).toMatchObject({
    ...{ name: 'Lin', organization: { name: 'Lin & Co' }, teams: [], openTaskCount: 0 },
    notificationCounts: { unread: 0, unseen: 0 },
  });
});

it('an organisation is there right after it was founded, 20 of 20 times', async () => {
  const names: unknown[] = [];
  for (let time = 0; time < 20; time++) {
    const { client } = await anOrg(supergraph.client, 'Ada');
    const { data, errors } = await client.send<{ viewer: { organization: { name: string } | null } }>(
      '{ viewer { organization { name } } organization { name } }',
    );
    names.push(errors.length === 0 ? data?.viewer.organization?.name : errors);
  }
  expect(names).toEqual(Array.from({ length: 20 }, () => expect.stringContaining('Acme')));
});
