/** Runs a command of this folder: its own answer on stdout, or one message on stderr and exit code 1. */
export async function runCommand(name: string, main: () => Promise<string>): Promise<void> {
  try {
    process.stdout.write(`${await main()}\n`);
  } catch (error) {
    const { message, code } = error as { message?: string; code?: string };
    process.stderr.write(`${name}: ${message || code || String(error)}\n`);
    process.exitCode = 1;
  }
}
