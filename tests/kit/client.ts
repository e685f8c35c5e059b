/**
 * The client of the tests, over HTTP. It reads the exact text of each answer, so that "byte for byte" can be tested, and
 * says everything about the exchange when an answer is not what the test takes for granted.
 */
export interface Answer<T = Record<string, unknown>> {
  status: number;
  /** The body as it came. */
  text: string;
  data: T | null;
  errors: { message: string; path?: (string | number)[]; extensions: { code: string; requestId?: string } }[];
  requestId: string | null;
  headers: Headers;
}

export interface TestClient {
  readonly url: string;
  readonly token: string | null;
  /** Whatever the answer is. */
  send<T = Record<string, unknown>>(
    query: string,
    variables?: object,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>;
  /** The data of an answer without errors and without a refused payload; anything else fails the test with the exchange. */
  ask<T = Record<string, never>>(
    query: string,
    variables?: object,
    headers?: Record<string, string>,
  ): Promise<T>;
  /** The same client as somebody else. */
  as(token: string | null): TestClient;
}

/** Longer than any answer takes on a machine that runs other tests beside. */
const TIMEOUT_MS = 20_000;

export function createTestClient(url: string, token: string | null = null): TestClient {
  async function send<T>(
    query: string,
    variables: object = {},
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    const body = JSON.parse(text);
    return {
      status: response.status,
      text,
      data: body.data ?? null,
      errors: body.errors ?? [],
      requestId: response.headers.get('x-request-id'),
      headers: response.headers,
    };
  }
  return {
    url,
    token,
    send,
    async ask<T>(query: string, variables: object = {}, headers: Record<string, string> = {}): Promise<T> {
      const answer = await send<T>(query, variables, headers);
      if (answer.errors.length > 0 || answer.data === null || hasRefusal(answer.data as object)) {
        throw new Error(
          `not the answer that was expected\nquery ${query}\nvariables ${JSON.stringify(variables)}\n` +
            `status ${answer.status} request ${answer.requestId}\nbody ${answer.text}`,
        );
      }
      return answer.data;
    },
    as: (other) => createTestClient(url, other),
  };
}

function hasRefusal(data: object): boolean {
  return Object.values(data).some((payload) => payload?.success === false);
}

/** An answer without what differs from request to request: for comparing bytes. */
export function bytesOf({ status, text }: Pick<Answer, 'status' | 'text'>): string {
  const told = text
    .replace(/"requestId":"[^"]*"/g, '"requestId":"…"')
    .replace(/,"remaining":\d+,"resetAt":"[^"]*"/, '');
  return `${status} ${told}`;
}
