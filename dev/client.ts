/** The GraphQL client of the workbench: one request, and anything but a clean answer is an error. */

export interface Client {
  /**
   * Runs an operation and returns its `data`. Throws when the answer has errors, or when a payload in it
   * reports `success: false`: what the workbench asks for is meant to work.
   */
  request<T>(query: string, variables?: Record<string, unknown>): Promise<T>;
}

/** Longer than any answer takes on a loaded laptop, shorter than a person's patience. */
const REQUEST_TIMEOUT_MS = 15_000;

export function createClient(url: string, accessToken?: string): Client {
  return {
    async request<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
      const response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(accessToken ? { authorization: `Bearer ${accessToken}` } : {}),
        },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      const answer = (await response.json()) as { data?: Record<string, unknown>; errors?: unknown[] };
      if (answer.errors?.length) throw refusal(query, answer.errors);
      for (const payload of Object.values(answer.data ?? {})) {
        if (isFailure(payload)) throw refusal(query, payload.userErrors);
      }
      return answer.data as T;
    },
  };
}

function isFailure(payload: unknown): payload is { success: false; userErrors?: unknown } {
  return typeof payload === 'object' && payload !== null && 'success' in payload && payload.success === false;
}

function refusal(query: string, problems: unknown): Error {
  return new Error(`${query.trim().split('\n')[0]} … was refused: ${JSON.stringify(problems)}`);
}
