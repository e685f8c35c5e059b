import { DomainError } from '@taskflow/kit/errors';

export const badInput = (field: string, message: string) =>
  new DomainError('BAD_USER_INPUT', message, { field });

export const forbidden = (message: string) => new DomainError('FORBIDDEN', message);

/** The same for absent, foreign and invisible things. */
export const notFound = (what: string, field: string) =>
  new DomainError('NOT_FOUND', `${what} was not found.`, { field });

export const conflict = (field: string, message: string) => new DomainError('CONFLICT', message, { field });

export const tooManyKeys = (max: number) =>
  new DomainError('QUOTA_EXCEEDED', `A person has at most ${max} API keys that work. Revoke one first.`);

export const tooManyExports = () =>
  new DomainError(
    'CONFLICT',
    'Your data is being gathered, or was within the last hour. See dataExports, or try again later.',
  );

/** Told only to who has proved that they belong to it. */
export const organizationSuspended = () =>
  forbidden('The organization is suspended: nobody can sign in to it.');

/** The same for an unknown address, a wrong password, and a person who belongs to no organisation any more. */
export const wrongCredentials = () =>
  new DomainError('INVALID_CREDENTIALS', 'The address or the password is not right.');

export const accountLocked = (retryAfterMs: number) =>
  new DomainError('ACCOUNT_LOCKED', 'Too many sign-ins have failed. Please try again later.', {
    retryAfterMs,
  });

/** The same for garbage, an unknown token, an old one, an expired one and one of a session that has ended. */
export const badRefreshToken = () =>
  new DomainError('INVALID_CREDENTIALS', 'The refresh token is not valid any more. Please sign in again.');

/** Where somebody is signed in and proves themselves again. */
export const wrongPassword = (field: string) =>
  new DomainError('INVALID_CREDENTIALS', 'The password is not right.', { field });

export const tooManyRequests = (retryAfterMs: number) =>
  new DomainError('RATE_LIMITED', 'This was asked for too often. Please try again later.', {
    retryable: true,
    retryAfterMs,
  });

export const tooManyMails = (retryAfterMs: number) =>
  new DomainError('RATE_LIMITED', 'Too many mails were sent to this address. Please try again later.', {
    retryable: true,
    retryAfterMs,
  });

/** The same for garbage, an unknown token, one of another kind, a used one, a replaced one and an expired one. */
export const badMailToken = () =>
  new DomainError('NOT_FOUND', 'The token was not found, was already used or has expired.', {
    field: 'token',
  });

/** The same for garbage, an unknown token, a used one, a replaced one, an expired one, and where the organisation is suspended. */
export const badInvite = () =>
  new DomainError('NOT_FOUND', 'The invite was not found, was already used or has expired.', {
    field: 'token',
  });

export const alreadyMember = (field: string) =>
  conflict(field, 'This person is already a member of the organisation.');
