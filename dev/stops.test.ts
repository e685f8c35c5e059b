import { expect, it } from 'vitest';
import { createStops } from './stops.ts';

function recorder() {
  const log: string[] = [];
  return {
    log,
    stops: createStops((text) => log.push(text)),
    stop: (name: string) => async () => log.push(name),
  };
}

it('stops what was started last first', async () => {
  const { log, stops, stop } = recorder();
  await stops.add('postgres', stop('postgres'));
  await stops.add('router', stop('router'));
  await Promise.all([stops.run(), stops.run()]);
  expect(log).toEqual(['router', 'postgres']);
});

it('goes on after a part that fails, and says which', async () => {
  const { log, stops, stop } = recorder();
  await stops.add('postgres', stop('postgres'));
  await stops.add('router', () => Promise.reject(new Error('busy')));
  await stops.run();
  expect(log).toEqual(['router did not stop cleanly: busy', 'postgres']);
});

it('stops a part at once that was still starting when the stop came, and gives the start up', async () => {
  const { log, stops, stop } = recorder();
  await stops.run();
  await stops.add('postgres', stop('postgres'));
  expect(log).toEqual(['postgres']);
  expect(() => stops.checkpoint()).toThrow('stopped while starting');
});
