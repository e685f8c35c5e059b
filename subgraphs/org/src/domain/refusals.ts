import { DomainError } from '@taskflow/kit/errors';

/** The same for absent, foreign and invisible things. */
export const notFound = (what: string, field: string) =>
  new DomainError('NOT_FOUND', `${what} was not found.`, { field });

export const forbidden = (message: string) => new DomainError('FORBIDDEN', message);

export const badInput = (field: string, message: string) =>
  new DomainError('BAD_USER_INPUT', message, { field });

/** The CHECKs of the tables say the same. */
const NAME_LENGTH_MAX = 200;

/** A trimmed name of 1 to 200 characters, else BAD_USER_INPUT. */
export function nameOf(text: string | null, field = 'name'): string {
  const name = text?.trim() ?? '';
  // PostgreSQL's text cannot hold U+0000.
  if (name === '' || [...name].length > NAME_LENGTH_MAX || name.includes('\0')) {
    throw badInput(field, `The name must have 1 to ${NAME_LENGTH_MAX} characters, none of them U+0000.`);
  }
  return name;
}
