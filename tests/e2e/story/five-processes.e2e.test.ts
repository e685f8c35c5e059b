import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Processes, startProcesses } from '@taskflow/dev/processes';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { createTestClient } from '../../kit/client.ts';
import { tellStory } from './story.ts';

describe('the story, in five processes', () => {
  let dir: string;
  let processes: Processes;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'taskflow-story-'));
    processes = await startProcesses({ dir, ports: 'free', env: { LOG_LEVEL: 'warn' } });
  }, 120_000);
  afterAll(async () => {
    await processes?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it('runs from sign-up to a resumed stream', async () => {
    await tellStory(createTestClient(processes.routerUrl));
  });
});
