/** The signed-in person of this page: an access token, refreshed when it is about to end. Kept in memory only. */

const AUTH = 'success userErrors { message } accessToken accessTokenExpiresAt refreshToken';
const LOGIN = `mutation Login($input: LoginInput!) { auth: login(input: $input) { ${AUTH} } }`;
const REFRESH = `mutation Refresh($input: TokenRefreshInput!) { auth: tokenRefresh(input: $input) { ${AUTH} } }`;
/** A token with less than this left is refreshed before it is used. */
const MARGIN_MS = 30_000;

export function createSession(endpoint) {
  let auth = null;
  let refreshing = null;

  async function ask(query, input) {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables: { input } }),
    });
    const { data, errors } = await response.json();
    const problem = errors?.[0]?.message ?? data?.auth?.userErrors?.[0]?.message;
    if (problem) throw new Error(problem);
    auth = data.auth;
  }

  function isEnding() {
    return Date.parse(auth.accessTokenExpiresAt) - Date.now() < MARGIN_MS;
  }

  return {
    signIn: (email, password) => ask(LOGIN, { email, password }),
    /** `Bearer …`, or null while nobody is signed in. */
    async authorization() {
      if (!auth) return null;
      if (isEnding()) {
        refreshing ??= ask(REFRESH, { refreshToken: auth.refreshToken }).finally(() => {
          refreshing = null;
        });
        await refreshing;
      }
      return `Bearer ${auth.accessToken}`;
    },
  };
}
