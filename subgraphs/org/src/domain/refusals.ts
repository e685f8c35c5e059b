import { DomainError } from '@taskflow/kit/errors';
import { isInvisible } from '@taskflow/kit/visible-text';

/** The same for absent, foreign and invisible things. */
export const notFound = (what: string, field: string) =>
  new DomainError('NOT_FOUND', `${what} was not found.`, { field });

export const forbidden = (message: string) => new DomainError('FORBIDDEN', message);

export const badInput = (field: string, message: string) =>
  new DomainError('BAD_USER_INPUT', message, { field });

/** The CHECKs of the tables say the same. */
const NAME_LENGTH_MAX = 200;
const CONTROL_CHARACTER = /\p{Cc}/u;

/** A trimmed name of 1 to 200 characters, else BAD_USER_INPUT. */
export function nameOf(text: string | null, field = 'name'): string {
  const name = text?.trim() ?? '';
  if (name === '' || [...name].length > NAME_LENGTH_MAX) {
    throw badInput(field, `The name must have 1 to ${NAME_LENGTH_MAX} characters.`);
  }
  if (isInvisible(name)) throw badInput(field, 'The name must have a character that can be seen.');
  // Also U+0000 and halves of surrogate pairs, which PostgreSQL does not keep.
  if (CONTROL_CHARACTER.test(name) || !name.isWellFormed()) {
    throw badInput(field, 'The name must not have control characters.');
  }
  return name;
}
