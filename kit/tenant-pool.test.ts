import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { currentTenant, tenantSafe, withTenant } from './tenant-pool.ts';

describe('tenantSafe', () => {
  const { findUnique, findUniqueOrThrow } = tenantSafe.model.$allModels;
  /** Stands for a model of a Prisma client: it answers what it was asked. */
  const model = {
    findFirst: async (args: object) => ({ findFirst: args }),
    findFirstOrThrow: async (args: object) => ({ findFirstOrThrow: args }),
  };

  test('findUnique asks findFirst, with the parts of a compound key', async () => {
    const args = { where: { orgId_id: { orgId: 'o', id: 'i' }, deletedAt: null }, select: { id: true } };
    const asked = { where: { orgId: 'o', id: 'i', deletedAt: null }, select: { id: true } };
    expect(await findUnique.call(model as never, args)).toEqual({ findFirst: asked });
    expect(await findUniqueOrThrow.call(model as never, args)).toEqual({ findFirstOrThrow: asked });
  });

  test('a filter on one column stays as it is', async () => {
    const where = { id: 'i', title: { contains: 'x' }, due_at: { gt: new Date(0) } };
    expect(await findUnique.call(model as never, { where })).toEqual({ findFirst: { where } });
  });
});

test('the tenant is known inside withTenant, across awaits, and nowhere else', async () => {
  const tenant = { orgId: randomUUID(), userId: randomUUID(), role: 'MEMBER' };
  await withTenant(tenant, async () => {
    await Promise.resolve();
    expect(currentTenant()).toEqual(tenant);
  });
  expect(currentTenant()).toBeUndefined();
});
