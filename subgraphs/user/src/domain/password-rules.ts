/**
 * Which passwords are refused beside those of a wrong length (input-rules.ts): what everybody tries first, and what one
 * knows of the person. No rules of composition ("one digit, one sign"), as NIST SP 800-63B has it: they make worse ones.
 *
 *   the list      @zxcvbn-ts/language-common: 49,000 of the most frequent passwords of public breaches
 *   looked up as  the whole text, and without decoration: "P@ssw0rd2024!" is "password"
 *   the person    the address, its part before the @, the name and each word of it, from four letters on
 *
 * zxcvbn's own matching was measured and left out: 1 to 6 ms of the event loop for a short password, 165 ms for one of 250
 * characters. This takes 4 µs (40 µs at most), after 35 ms and 5 MB for the list, once, at the first new password.
 */
import { newPasswordOf } from './input-rules.ts';
import { badInput } from './refusals.ts';

/** Whose password it will be. */
export interface PasswordOwner {
  readonly email: string;
  readonly name: string;
}

/** Of shorter parts a good password may have some by chance. */
const PART_LENGTH_MIN = 4;
/** "dragon2024" is "dragon"; nine digits and a word are a password. */
const DECORATION_LENGTH_MAX = 4;
const REPEATED_LENGTH_MAX = 4;
/** Of a longer one somebody would have to guess the length as well. */
const MONOTONOUS_LENGTH_MAX = 32;

/** The password as it was typed, else BAD_USER_INPUT that says what to do. */
export async function acceptablePasswordOf(
  text: string,
  owner: PasswordOwner,
  field = 'password',
): Promise<string> {
  const password = newPasswordOf(text, field);
  const folded = fold(password);
  if (partsOf(owner).some((part) => folded.includes(part))) {
    throw badInput(
      field,
      'The password must not contain your name or address. Choose one that has nothing to do with you.',
    );
  }
  if (isMonotonous(folded) || (await isCommon(folded))) {
    throw badInput(
      field,
      'This password is one of those that are tried first. Choose another, for example four words that you draw by lot.',
    );
  }
  return password;
}

const fold = (text: string): string => text.normalize('NFKC').toLowerCase();

function partsOf({ email, name }: PasswordOwner): string[] {
  const folded = fold(name);
  const [mailbox = ''] = email.split('@');
  return [fold(email), fold(mailbox), folded, folded.replace(/\s+/gu, ''), ...folded.split(/\s+/u)].filter(
    (part) => part.length >= PART_LENGTH_MIN,
  );
}

let commonPasswords: Promise<ReadonlySet<string>> | null = null;

/** Loaded when the first new password is chosen: a replica that only signs people in does without. */
async function readCommonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  return new Set(dictionary['passwords-common'] as readonly string[]);
}

async function isCommon(folded: string): Promise<boolean> {
  commonPasswords ??= readCommonPasswords();
  const common = await commonPasswords;
  const forms = [folded, spelledOut(folded), undecorated(folded), undecorated(spelledOut(folded))];
  return [...forms, spelledOut(undecorated(folded))].some((form) => common.has(form));
}

const LETTERS: Readonly<Record<string, string>> = {
  ...{ '@': 'a', '4': 'a', '3': 'e', '1': 'i', '!': 'i', '0': 'o', $: 's', '5': 's', '7': 't' },
};

/** Signs that stand for letters, as letters. */
const spelledOut = (text: string): string => text.replace(/[@431!0$57]/g, (sign) => LETTERS[sign] ?? sign);

/** Without the few digits and signs that stand around a word because somebody asked for them. */
function undecorated(text: string): string {
  const word = text.replace(/^[^\p{L}]+/u, '').replace(/[^\p{L}]+$/u, '');
  return text.length - word.length <= DECORATION_LENGTH_MAX ? word : text;
}

/** "aaaaaaaa", "abcabcabc", "12345678", "zyxwvuts". */
function isMonotonous(text: string): boolean {
  const characters = [...text];
  if (characters.length > MONOTONOUS_LENGTH_MAX) return false;
  const repeats = (length: number) =>
    characters.every((it, at) => at < length || it === characters[at - length]);
  for (let length = 1; length <= REPEATED_LENGTH_MAX; length++) if (repeats(length)) return true;
  const steps = characters
    .slice(1)
    .map((it, at) => (it.codePointAt(0) ?? 0) - (characters[at]?.codePointAt(0) ?? 0));
  return steps.every((step) => step === 1) || steps.every((step) => step === -1);
}
