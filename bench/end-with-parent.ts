// Loaded first into each child: its standard input is a pipe that only the benchmark holds open, so its end means
// that the benchmark is gone, however that happened.

process.stdin.resume();
process.stdin.on('end', () => process.exit(1));
process.stdin.on('error', () => process.exit(1));
// The pipe alone keeps no process running.
(process.stdin as unknown as { unref?(): void }).unref?.();
