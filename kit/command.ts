/**
 * A command for operators: what `npm run operator -- <words> …` runs. One file per command in the subgraph that owns the
 * matter, `subgraphs/<x>/src/commands/<words-joined-by-dashes>.ts`, which exports it as `command`. Where several subgraphs
 * have a command of the same name, it runs in each, one after the other.
 */
export interface OperatorCommand {
  /** One line: what it does. */
  readonly summary: string;
  /** What follows the words: `<organization id> [--reason TEXT]`; empty when nothing does. */
  readonly usage: string;
  /** Resolves when it is done. Throws UsageError for arguments that it does not take, any other error when it failed. */
  run(args: readonly string[], at: OperatorConsole): Promise<void>;
  /** One that fails in one subgraph is still run in the others: it only looks. */
  readonly onlyLooks?: true;
}

export interface OperatorConsole {
  /** Complete: what the `config.ts` of the subgraph reads. */
  readonly env: NodeJS.ProcessEnv;
  /** Prints one line for the operator. */
  out(line: string): void;
}

/** The arguments make no sense; the message says which. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** For commands that take no arguments. */
export function takeNoArguments(args: readonly string[]): void {
  if (args.length > 0) throw new UsageError(`unexpected: ${args.join(' ')}`);
}
