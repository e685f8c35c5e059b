import type { OrgStore } from '../data/store.ts';

/** The id of the organisation that an operator names, by id or short name. Throws unless it is exactly one. */
export async function findOne(
  { organizations }: Pick<OrgStore, 'organizations'>,
  reference: string,
): Promise<string> {
  const [found, another] = await organizations.findForOperator(reference);
  if (!found) throw new Error(`there is no organisation "${reference}"`);
  if (another) throw new Error(`several organisations have the short name "${reference}": give the id`);
  return found.id;
}
