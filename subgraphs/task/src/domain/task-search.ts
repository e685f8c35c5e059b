/**
 * The search language: plain words now. `status:IN_PROGRESS @grace #urgent` will mean something later, and so nothing
 * that looks like it may mean something else today.
 */
import { badInput } from './refusals.ts';

/** The length of a long sentence, and as many words. */
const SEARCH_LENGTH_MAX = 256;
const TERMS_MAX = 16;

/** What the database searches for, each term in quotes so that none of them is an operator; null for nothing but spaces. */
export function wordsOf(search: string | null | undefined): string | null {
  const terms = search?.trim().split(/\s+/).filter(Boolean) ?? [];
  if (search == null || terms.length === 0) return null;
  if (search.length > SEARCH_LENGTH_MAX) {
    throw badInput('search', `A search has at most ${SEARCH_LENGTH_MAX} characters.`);
  }
  if (search.includes('\0')) throw badInput('search', 'The text contains a character that cannot be kept.');
  if (terms.length > TERMS_MAX) throw badInput('search', `A search has at most ${TERMS_MAX} words.`);
  for (const term of terms) {
    if (term.includes(':') || /^[@#]/.test(term)) {
      throw badInput(
        'search',
        'Words with a colon and words that start with @ or # are reserved: search for plain words, and use filter for the rest.',
      );
    }
  }
  return terms.map((term) => `"${term.replaceAll('"', '')}"`).join(' ');
}
