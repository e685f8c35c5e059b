/** What people may type. The CHECKs of the tables say the same; the SDL promises the lengths. */
import { isInvisible } from '@taskflow/kit/visible-text';
import { badInput } from './refusals.ts';

const NAME_LENGTH_MAX = 200;
const EMAIL_LENGTH_MAX = 254;
const PASSWORD_LENGTH_MIN = 8;
const PASSWORD_LENGTH_MAX = 256;

/** As HTML's <input type=email> has it: ASCII, so that JavaScript and PostgreSQL agree on lower case. */
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const EMAIL = new RegExp(`^[a-z0-9.!#$%&'*+/=?^_\`{|}~-]{1,64}@${LABEL}(?:\\.${LABEL})*$`);
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Trimmed and in lower case, whether or not it is an address. */
export const normalizedEmail = (text: string): string => text.trim().toLowerCase();

/** Whether the normalised text is an address that an account may have. */
export const isEmail = (text: string): boolean => text.length <= EMAIL_LENGTH_MAX && EMAIL.test(text);

/** The address in lower case, else BAD_USER_INPUT. */
export function emailOf(text: string): string {
  const email = normalizedEmail(text);
  if (!isEmail(email)) throw badInput('email', 'This is not an e-mail address.');
  return email;
}

/** A trimmed name of 1 to 200 characters on one line, else BAD_USER_INPUT. */
export function nameOf(text: string, field: 'name' | 'organizationName'): string {
  const name = text.trim();
  if (name === '' || [...name].length > NAME_LENGTH_MAX) {
    throw badInput(field, `The name must have 1 to ${NAME_LENGTH_MAX} characters.`);
  }
  if (isInvisible(name)) throw badInput(field, 'The name must have a character that can be seen.');
  if (CONTROL_CHARACTER.test(name) || !name.isWellFormed()) {
    throw badInput(field, 'The name must not have control characters.');
  }
  return name;
}

/** The password as it was typed, 8 to 256 characters, else BAD_USER_INPUT. For a new one see password-rules.ts as well. */
export function newPasswordOf(text: string, field = 'password'): string {
  const length = [...text].length;
  if (length < PASSWORD_LENGTH_MIN || length > PASSWORD_LENGTH_MAX) {
    throw badInput(
      field,
      `The password must have ${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters.`,
    );
  }
  return text;
}
