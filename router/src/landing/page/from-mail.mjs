/**
 * Whoever follows the link of a mail finds the mutation that takes its token, filled in. The fragment is taken out of the
 * address, so that the token stays neither in the history nor in a bookmark.
 */
const mutation = (title, query, input) => ({ title, kind: 'mutation', query, variables: { input } });

const USER_ERRORS = '    success\n    userErrors {\n      code\n      message\n      field\n    }';

const documentOf = (name, inputType, field, answer) =>
  `mutation ${name}($input: ${inputType}!) {\n  ${field}(input: $input) {\n${USER_ERRORS}${answer}\n  }\n}`;

const PAIR = '\n    accessToken\n    refreshToken\n    user {\n      name\n      email\n    }';

/** By the name in the fragment: `#reset=pwd_…`. */
export const mailOperations = {
  verify: mutation(
    'Confirm the address',
    documentOf('ConfirmTheAddress', 'EmailVerifyInput', 'emailVerify', ''),
    {},
  ),
  reset: mutation(
    'Reset the password',
    documentOf('ResetThePassword', 'PasswordResetInput', 'passwordReset', PAIR),
    { newPassword: '' },
  ),
  'email-change': mutation(
    'Agree to the new address',
    documentOf('AgreeToTheNewAddress', 'EmailChangeConfirmInput', 'emailChangeConfirm', ''),
    {},
  ),
  invite: mutation(
    'Accept the invite',
    documentOf('AcceptTheInvite', 'InviteAcceptInput', 'inviteAccept', PAIR),
    { name: '', password: '' },
  ),
};

/** Null when the address does not come from a mail. Takes the token out of the address. */
export function takeOperationFromMail(location, history) {
  const [, name, encoded] = /^#([\w-]+)=((?:[\w.~-]|%[0-9A-F]{2})+)$/.exec(location.hash) ?? [];
  if (!name || !Object.hasOwn(mailOperations, name)) return null;
  history.replaceState(null, '', location.pathname + location.search);
  const { variables, ...operation } = mailOperations[name];
  return { ...operation, variables: { input: { token: decodeURIComponent(encoded), ...variables.input } } };
}
