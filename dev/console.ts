/** The launcher's side of the terminal: a log for people, and signals. */
import { createLog, type Log } from '@taskflow/kit/log';

/** A log whose lines are sentences on stderr, for what takes long enough to deserve one. */
export function createConsoleLog(): Log {
  return createLog({
    process: 'launcher',
    level: 'info',
    destination: {
      write(line: string) {
        const { msg } = JSON.parse(line) as { msg?: string };
        if (msg) process.stderr.write(`TaskFlow: ${msg}\n`);
      },
    },
  });
}

/**
 * npm passes on the signal that the terminal has already sent to the whole group, so one Ctrl-C arrives twice,
 * a few milliseconds apart; a person's second one comes later.
 */
const ECHO_MS = 500;

/** The first signal runs `stop` and exits 0; a second one, from a person, exits at once. */
export function stopOnSignals(stop: () => Promise<void>): void {
  let stoppingSince: number | null = null;
  const onSignal = async () => {
    if (stoppingSince !== null) {
      if (performance.now() - stoppingSince > ECHO_MS) process.exit(1);
      return;
    }
    stoppingSince = performance.now();
    await stop();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
}
