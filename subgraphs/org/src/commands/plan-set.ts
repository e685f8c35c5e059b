import { parseArgs } from 'node:util';
import { type OperatorCommand, UsageError } from '@taskflow/kit/command';
import { DomainError } from '@taskflow/kit/errors';
import { v7 as uuidv7 } from 'uuid';
import { readOrgConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';
import type { PlanName } from '../data/plans.ts';
import { findOne } from '../domain/find-one.ts';
import { limitsOfPlans } from '../domain/plan-limits.ts';
import { type Contract, createPlans, describePlan } from '../domain/plans.ts';

const NAMES: readonly string[] = ['FREE', 'TEAM', 'BUSINESS'] satisfies PlanName[];

export const command: OperatorCommand = {
  summary:
    'Gives an organisation another plan, from now or a date on, for ever or until a date (RFC 3339, UTC).',
  usage: '<short name or id> FREE|TEAM|BUSINESS [--from DATE] [--until DATE]',
  async run(args, { env, out }) {
    const { reference, contract } = read(args);
    const config = readOrgConfig(env);
    const { store, close } = openStore(config);
    try {
      const orgId = await findOne(store, reference);
      const plans = createPlans(store, { limitsOf: limitsOfPlans(config) });
      const origin = { actorId: null, requestId: `operator-${uuidv7()}`, address: null, userAgent: null };
      const plan = await plans.set(orgId, contract, origin);
      out(`${reference} (${orgId}) has the plan ${describePlan(plan)}`);
    } catch (error) {
      throw error instanceof DomainError ? new UsageError(error.message) : error;
    } finally {
      await close();
    }
  },
};

function read(args: readonly string[]): { reference: string; contract: Contract } {
  const { values, positionals } = parsed(args);
  const [reference, name, ...others] = positionals;
  if (!reference || !name || others.length > 0) throw new UsageError('name one organisation and one plan');
  if (!NAMES.includes(name)) throw new UsageError(`there is no plan "${name}"`);
  const contract = {
    name: name as PlanName,
    startsAt: dateOf(values.from),
    endsAt: dateOf(values.until),
  };
  return { reference, contract };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { from: { type: 'string' }, until: { type: 'string' } },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

function dateOf(text: string | undefined): Date | null {
  if (text === undefined) return null;
  const date = new Date(text);
  if (!DATE.test(text) || Number.isNaN(date.getTime())) throw new UsageError(`"${text}" is no date`);
  return date;
}
