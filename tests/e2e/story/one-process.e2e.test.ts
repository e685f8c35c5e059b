import { subgraphs as NAMES } from '@taskflow/prisma/databases';
import { beforeAll, describe, expect, it } from 'vitest';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { tellStory } from './story.ts';

/** The router numbers the fetches of a plan and names each call after its fetch: `TaskEvents__user__1`. */
const FETCH_OF_EVENT = /^query (TaskEvents__\w+)\(\$r(?:epresentations|\d)/;

describe('the story, in one process', () => {
  let supergraph: TestSupergraph;
  beforeAll(async () => {
    supergraph = await aSupergraph();
  });

  it('runs from sign-up to a resumed stream, with one call per fetch of the plan of an event', async () => {
    const { counts, client } = supergraph;
    const fetches: string[] = [];
    await tellStory(client, {
      beforeTask: () => counts.reset(),
      // What the events of the inbox and the other subscription cost has other names.
      afterTask: () => {
        const calls = NAMES.flatMap((name) => counts.calls[name]);
        fetches.push(...calls.flatMap((query) => FETCH_OF_EVENT.exec(query)?.[1] ?? []));
      },
    });
    // The event has an actor, a task with an assignee and a project with teams and their parents: the two people hang on
    // different places, are two fetches of the plan, and travel as one call.
    expect(fetches.sort()).toEqual([
      'TaskEvents__notification__2',
      'TaskEvents__org__4',
      'TaskEvents__user__1',
    ]);
  });
});
