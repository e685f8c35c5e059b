/** Passwords and addresses from the first mail to the last: through the router, the streams and real SMTP. */
import { aMailbox, type TestMailbox } from '@taskflow/tests/kit/mailbox';
import { aMember, anOrg, aProject, aTask, PASSWORD, type TestPerson } from '@taskflow/tests/kit/seed';
import { openSocket } from '@taskflow/tests/kit/socket';
import { aSupergraph, type TestSupergraph } from '@taskflow/tests/kit/supergraph';
import { until } from '@taskflow/tests/kit/until';
import { beforeAll, describe, expect, it } from 'vitest';

let supergraph: TestSupergraph;
let mailbox: TestMailbox;

beforeAll(async () => {
  mailbox = await aMailbox();
  supergraph = await aSupergraph({ mailbox });
});

const NEW_PASSWORD = 'another horse entirely';
const AUTH = `success userErrors { code message field } accessToken refreshToken
  user { id email emailVerifiedAt organization { id name } }`;
const LOGIN = `mutation ($input: LoginInput!) { login(input: $input) { ${AUTH} } }`;
const REQUEST = `mutation ($input: PasswordResetRequestInput!) {
  passwordResetRequest(input: $input) { success userErrors { code } } }`;
const RESET = `mutation ($input: PasswordResetInput!) { passwordReset(input: $input) { ${AUTH} } }`;
const CHANGE = `mutation ($input: PasswordChangeInput!) { passwordChange(input: $input) { ${AUTH} } }`;
const VERIFY = `mutation ($input: EmailVerifyInput!) { emailVerify(input: $input) { success userErrors { code } } }`;
const MOVE = `mutation ($input: EmailChangeRequestInput!) {
  emailChangeRequest(input: $input) { success userErrors { code } } }`;
const AGREE = `mutation ($input: EmailChangeConfirmInput!) {
  emailChangeConfirm(input: $input) { success isComplete userErrors { code } } }`;
const ME = '{ viewer { id email emailVerifiedAt } }';
const LISTEN = 'subscription { notificationEvents { __typename ... on StreamHeartbeat { cursor } } }';

const login = (email: string, password: string) =>
  supergraph.client.send<{ login: { success: boolean } }>(LOGIN, { input: { email, password } });

async function listening({ accessToken }: Pick<TestPerson, 'accessToken'>) {
  const socket = await openSocket(supergraph.url, accessToken);
  await socket.subscribe(LISTEN).nextOf('StreamHeartbeat');
  return socket;
}

describe('who has forgotten a password', () => {
  it('resets it by mail, is signed in at once, and everybody else who was is signed out', async () => {
    const ada = await anOrg(supergraph.client);
    const socket = await listening(ada);
    await supergraph.client.ask(REQUEST, { input: { email: ada.email } });
    const mail = await mailbox.mailTo(ada.email, 'PASSWORD_RESET');
    expect(mail.text).toContain('passwordReset');
    const input = { token: mail.token, newPassword: NEW_PASSWORD };
    const { passwordReset } = await supergraph.client.ask<{ passwordReset: TestPerson & { user: object } }>(
      RESET,
      { input },
    );
    // The rest of the operation ran as Ada, in another subgraph.
    expect(passwordReset.user).toMatchObject({
      ...{ id: ada.id, email: ada.email, emailVerifiedAt: expect.any(String) },
      organization: { id: ada.organizationId },
    });
    expect(await socket.closed).toMatchObject({ code: 4403 });
    const refused = await ada.client.send(ME);
    expect(refused.errors).toMatchObject([{ extensions: { code: 'SESSION_REVOKED' } }]);
    expect((await ada.client.as(passwordReset.accessToken).ask(ME)).viewer).toMatchObject({ id: ada.id });
    await mailbox.mailTo(ada.email, 'PASSWORD_CHANGED');
    expect((await login(ada.email, PASSWORD)).data?.login.success).toBe(false);
    expect((await login(ada.email, NEW_PASSWORD)).data?.login.success).toBe(true);
  });
});

describe('who changes a password', () => {
  it('stays signed in where they did it, and nowhere else', async () => {
    const ada = await anOrg(supergraph.client);
    const other = (await login(ada.email, PASSWORD)).data?.login as unknown as TestPerson;
    const [here, there] = [await listening(ada), await listening(other)];
    const { passwordChange } = await ada.client.ask<{ passwordChange: TestPerson }>(CHANGE, {
      input: { currentPassword: PASSWORD, newPassword: NEW_PASSWORD },
    });
    expect(await there.closed).toMatchObject({ code: 4403 });
    expect((await ada.client.as(other.accessToken).send(ME)).errors).toMatchObject([
      { extensions: { code: 'SESSION_REVOKED' } },
    ]);
    expect((await ada.client.as(passwordChange.accessToken).ask(ME)).viewer).toMatchObject({ id: ada.id });
    await here.subscribe(LISTEN).nextOf('StreamHeartbeat');
  });
});

describe('an address', () => {
  it('is proved by the mail of the first minute', async () => {
    const ada = await anOrg(supergraph.client);
    expect((await ada.client.ask(ME)).viewer).toMatchObject({ emailVerifiedAt: null });
    const { token } = await mailbox.mailTo(ada.email, 'EMAIL_VERIFICATION');
    await supergraph.client.ask(VERIFY, { input: { token } });
    expect((await ada.client.ask(ME)).viewer).toMatchObject({ emailVerifiedAt: expect.any(String) });
  });

  it('changes when both mailboxes agree, and the tasks of the person name them as before', async () => {
    const admin = await anOrg(supergraph.client);
    const grace = await aMember(admin);
    const project = await aProject(admin);
    const task = await aTask(admin, { projectId: project.id, assigneeId: grace.id });
    const email = `moved-${grace.email}`;
    await grace.client.ask(MOVE, { input: { email, password: PASSWORD } });
    const old = await mailbox.mailTo(grace.email, 'EMAIL_CHANGE_NOTICE');
    const fresh = await mailbox.mailTo(email, 'EMAIL_CHANGE_CONFIRM');
    expect(old.text).toContain(email);
    const agree = async (token: string | null) =>
      (
        await supergraph.client.ask<{ emailChangeConfirm: { isComplete: boolean } }>(AGREE, {
          input: { token },
        })
      ).emailChangeConfirm.isComplete;
    expect(await agree(fresh.token)).toBe(false);
    expect((await grace.client.ask(ME)).viewer).toMatchObject({ email: grace.email });
    expect(await agree(old.token)).toBe(true);
    await until('the task to show the new address', async () => {
      const query = 'query ($id: ID!) { task(id: $id) { assignee { id email } } }';
      const data = await admin.client.ask<{ task: { assignee: { email: string } } }>(query, { id: task.id });
      return data.task.assignee.email === email;
    });
    expect((await login(email, PASSWORD)).data?.login.success).toBe(true);
  });
});
