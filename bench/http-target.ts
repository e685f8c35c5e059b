/** A GraphQL endpoint under load: kept-alive connections, one for each sender. */
import type { Stops } from '@taskflow/dev/stops';
import { Pool } from 'undici';

export interface HttpTarget {
  /** The text of the answer to a complete request body. Throws on any status but 200. */
  post(body: string): Promise<string>;
}

export async function createHttpTarget(
  url: string,
  connections: number,
  stops: Stops,
  token?: string,
): Promise<HttpTarget> {
  const { origin, pathname } = new URL(url);
  const pool = new Pool(origin, { connections, pipelining: 1 });
  await stops.add(`connections to ${origin}`, () => pool.destroy());
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return {
    async post(body) {
      const answer = await pool.request({ path: pathname, method: 'POST', headers, body });
      const text = await answer.body.text();
      if (answer.statusCode !== 200)
        throw new Error(`${url} answered ${answer.statusCode}: ${text.slice(0, 1_000)}`);
      return text;
    },
  };
}
