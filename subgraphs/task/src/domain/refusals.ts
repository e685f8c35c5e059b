import { DomainError } from '@taskflow/kit/errors';

/** The same for absent, foreign and invisible things. */
export const notFound = (what: string, field: string) =>
  new DomainError('NOT_FOUND', `${what} was not found.`, { field });

export const forbidden = (message: string) => new DomainError('FORBIDDEN', message);

export const badInput = (field: string, message: string) =>
  new DomainError('BAD_USER_INPUT', message, { field });
