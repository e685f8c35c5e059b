/**
 * A client as it should be: what may be tried again it tries again, a mutation with the same Idempotency-Key, until it has
 * an answer. Whatever says that it may not be tried again fails the test.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, createTestClient, type TestClient } from '../kit/client.ts';
import { PASSWORD, type TestPerson } from '../kit/seed.ts';

/** A part that was killed is back within seconds; the machine has neighbours. */
export const BACK_MS = 40_000;
/** Clients back off; ten attempts a second are still impatient. */
const RETRY_MS = 100;

export interface Patience {
  /** Exchanges that were answered, and those that had to be tried again. */
  answers: number;
  setbacks: number;
}

export interface PatientClient extends TestClient {
  readonly patience: Readonly<Patience>;
}

export function createPatientClient(
  url: string,
  token: string | null = null,
  patience: Patience = { answers: 0, setbacks: 0 },
): PatientClient {
  const client = createTestClient(url, token);

  async function send<T>(query: string, variables: object = {}, given: Record<string, string> = {}) {
    const isMutation = query.startsWith('mutation');
    // Mutations of nobody hand out credentials: they are never answered a second time, and take no key.
    const isRepeatable = !isMutation || token !== null;
    const headers = isMutation && isRepeatable ? { 'idempotency-key': randomUUID(), ...given } : given;
    const deadline = performance.now() + BACK_MS;
    for (;;) {
      const answer = await client.send<T>(query, variables, headers).catch((error: Error) => error);
      if (!(answer instanceof Error) && !answer.errors.some(isRepeatable ? isRetryable : isOutage)) {
        patience.answers += 1;
        return answer;
      }
      patience.setbacks += 1;
      if (!isRepeatable) throw new Lost(explain(query, answer));
      if (performance.now() > deadline)
        throw new Error(`no answer within ${BACK_MS} ms: ${explain(query, answer)}`);
      await pause(RETRY_MS);
    }
  }

  return {
    ...{ url, token, send, patience },
    async ask<T>(query: string, variables: object = {}, headers: Record<string, string> = {}): Promise<T> {
      const answer = await send<T>(query, variables, headers);
      const told = explain(`${query} ${JSON.stringify(variables)}`, answer);
      if (!answer.data || answer.errors.length > 0) throw new Error(told);
      const payloads = Object.values(answer.data) as ({ success?: boolean } | null)[];
      if (payloads.some((payload) => payload?.success === false)) throw new Refused(told);
      return answer.data;
    },
    as: (other) => createPatientClient(url, other, patience),
  };
}

/** A request that may not be repeated was sent and not answered: it was done or it was not. */
class Lost extends Error {}

/** A mutation that was answered and has done nothing. */
class Refused extends Error {}

/**
 * Tries anew what is refused: a service that has not heard yet of a thing made a moment before refuses whatever names it.
 * Any other failure is one.
 */
export function untilAccepted<T>(attempt: () => Promise<T>): Promise<T> {
  return persist(attempt, (error) => error instanceof Refused);
}

async function persist<T>(attempt: () => Promise<T>, isPassing: (error: unknown) => boolean): Promise<T> {
  const deadline = performance.now() + BACK_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!isPassing(error) || performance.now() > deadline) throw error;
      await pause(RETRY_MS);
    }
  }
}

type AnswerError = Answer['errors'][number];

function isRetryable({ extensions }: AnswerError): boolean {
  return 'retryable' in extensions && extensions.retryable === true;
}

function isOutage({ extensions }: AnswerError): boolean {
  return ['SUBGRAPH_UNAVAILABLE', 'TIMEOUT'].includes(extensions.code);
}

function explain(query: string, answer: Answer<unknown> | Error): string {
  const told = answer instanceof Error ? `${answer.message} ${answer.cause ?? ''}` : answer.text;
  return `${query}\n${told}`;
}

const AUTH = `success userErrors { code message field } accessToken refreshToken
  user { id name email organization { id } }`;

interface AuthPayload {
  accessToken: string;
  refreshToken: string;
  user: { id: string; name: string; email: string; organization: { id: string } };
}

/** Founds an organisation, whatever happens meanwhile. */
export function foundsOrg(client: PatientClient, name: string): Promise<TestPerson> {
  const email = emailOf(name);
  const input = { email, password: PASSWORD, name, organizationName: `Acme of ${email}` };
  return comesIn(
    client,
    email,
    `mutation ($input: RegisterInput!) { came: register(input: $input) { ${AUTH} } }`,
    { input },
  );
}

/** `inviter` invites somebody, who accepts, whatever happens meanwhile. */
export async function joins(inviter: TestPerson, name: string): Promise<TestPerson> {
  const email = emailOf(name);
  // The token is shown once: when that answer is lost, the address is invited again.
  let token: string | null = null;
  while (token === null) {
    const { inviteCreate } = await inviter.client.ask<{ inviteCreate: { token: string | null } }>(
      `mutation ($input: InviteCreateInput!) { inviteCreate(input: $input) { success token userErrors { code message } } }`,
      { input: { email, role: 'MEMBER' } },
    );
    token = inviteCreate.token;
  }
  return comesIn(
    inviter.client.as(null),
    email,
    `mutation ($input: InviteAcceptInput!) { came: inviteAccept(input: $input) { ${AUTH} } }`,
    { input: { token, name, password: PASSWORD } },
  );
}

const emailOf = (name: string) => `${name.toLowerCase()}-${randomBytes(5).toString('hex')}@acme.test`;

const LOGIN = `mutation ($input: LoginInput!) { came: login(input: $input) { ${AUTH} } }`;

/** Whoever is refused after an attempt whose answer was lost came in by that one: they sign in. */
function comesIn(
  client: TestClient,
  email: string,
  mutation: string,
  variables: object,
): Promise<TestPerson> {
  let wasLost = false;
  const attempt = async () => {
    const { came } = await client.ask<{ came: AuthPayload }>(mutation, variables).catch((error) => {
      if (!(error instanceof Refused) || !wasLost) throw error;
      return client.ask<{ came: AuthPayload }>(LOGIN, { input: { email, password: PASSWORD } });
    });
    return personOf(client, came);
  };
  return persist(attempt, (error) => {
    wasLost ||= error instanceof Lost;
    return error instanceof Lost;
  });
}

function personOf(client: TestClient, { accessToken, refreshToken, user }: AuthPayload): TestPerson {
  const { id, name, email, organization } = user;
  return {
    ...{ id, name, email, password: PASSWORD, accessToken, refreshToken },
    organizationId: organization.id,
    client: client.as(accessToken),
  };
}
