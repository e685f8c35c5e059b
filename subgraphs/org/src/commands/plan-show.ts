import { type OperatorCommand, UsageError } from '@taskflow/kit/command';
import { readOrgConfig } from '../config.ts';
import { openStore } from '../data/open-store.ts';
import { findOne } from '../domain/find-one.ts';
import { describePlan } from '../domain/plans.ts';
import { apiCallsLimitOf } from '../domain/usage.ts';

export const command: OperatorCommand = {
  summary:
    'Shows the plan of an organisation, and what org counts of it; `quota check` looks at all counters.',
  usage: '<short name or id>',
  async run([reference, ...others], { env, out }) {
    if (!reference || others.length > 0) throw new UsageError('name one organisation');
    const { store, close } = openStore(readOrgConfig(env));
    try {
      const orgId = await findOne(store, reference);
      const plan = await store.plans.findOwn({ orgId });
      if (!plan) throw new Error(`${reference} has no plan yet: start the service once`);
      const [projects, calls] = [
        await store.usage.projects({ orgId }),
        await store.usage.apiCalls({ orgId }),
      ];
      out(`${reference} (${orgId}) has the plan ${describePlan(plan)}`);
      out(`projects   ${projects.used} of ${projects.limit ?? 'any number'}`);
      out(`API calls  ${calls} this month of ${apiCallsLimitOf(plan, new Date()) ?? 'any number'}`);
      for (const [when, limits] of [
        ['within the contract', plan.limits],
        ['otherwise', plan.otherwise],
      ] as const) {
        out(`${when}: ${JSON.stringify(limits)}`);
      }
    } finally {
      await close();
    }
  },
};
