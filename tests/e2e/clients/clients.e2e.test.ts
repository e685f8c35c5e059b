/** The clients that frontend teams use, each against the real router and the four subgraphs: one supergraph for all. */
import { beforeAll, describe } from 'vitest';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { tryApolloClient } from './apollo-client.ts';
import { tryGraphqlSse } from './graphql-sse.ts';
import { tryGraphqlWs } from './graphql-ws.ts';
import { tryRelay } from './relay.ts';
import { aScene, type Scene } from './scene.ts';
import { tryUrql } from './urql.ts';

let supergraph: TestSupergraph;
beforeAll(async () => {
  supergraph = await aSupergraph();
});

/** One person for all tests of a client: they run one after the other, and leave nothing open. */
function sceneFor(name: string): () => Promise<Scene> {
  let scene: Promise<Scene> | null = null;
  return () => {
    scene ??= aScene(supergraph, name).catch((error) => {
      scene = null;
      throw error;
    });
    return scene;
  };
}

describe('Apollo Client', () => tryApolloClient(sceneFor('Apollo')));
describe('urql', () => tryUrql(sceneFor('Urql')));
describe('the client of graphql-ws', () => tryGraphqlWs(sceneFor('Ws')));
describe('the client of graphql-sse', () => tryGraphqlSse(sceneFor('Sse')));
describe('relay-runtime', () => tryRelay(sceneFor('Relay')));
