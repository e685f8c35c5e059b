import { beforeAll, describe, expect, it } from 'vitest';
import { aSupergraph, type TestSupergraph } from '../../kit/supergraph.ts';
import { tellStory } from './story.ts';

describe('the story, in one process', () => {
  let supergraph: TestSupergraph;
  beforeAll(async () => {
    supergraph = await aSupergraph();
  });

  it('runs from sign-up to a resumed stream, with one call per fetch of the plan of an event', async () => {
    const { counts, client } = supergraph;
    let entityCalls: Record<string, number> = {};
    await tellStory(client, {
      beforeTask: () => counts.reset(),
      afterTask: () => {
        entityCalls = Object.fromEntries(
          Object.entries(counts.calls).map(([name, calls]) => [
            name,
            calls.filter((query) => query.includes('_entities')).length,
          ]),
        );
      },
    });
    // Per event of the story's selection: assignee and actor are two fetches of the plan; see schema/subscription-plan.
    expect(entityCalls.user).toBeGreaterThan(0);
    expect(entityCalls.org).toBe(1);
    expect(entityCalls.user).toBeLessThanOrEqual(2);
    expect(entityCalls.notification).toBeLessThanOrEqual(1);
  });
});
