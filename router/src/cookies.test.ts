import { describe, expect, it } from 'vitest';
import { readRouterConfig } from './config.ts';
import { createCookies } from './cookies.ts';

const NOW = 1_000_000;
const tokens = {
  ...{ accessToken: 'a.b.c', accessTokenExpiresAt: NOW + 600_000 },
  ...{ refreshToken: 'rt_1', refreshTokenExpiresAt: NOW + 604_800_000 },
};

describe('the cookies of tokens', () => {
  it('are bound to this host and HTTPS, hidden from scripts, and never sent across sites', () => {
    expect(createCookies('on', '/graphql').store(tokens, NOW)).toEqual([
      '__Host-taskflow-access=a.b.c; Path=/; Max-Age=600; HttpOnly; SameSite=Strict; Secure',
      '__Secure-taskflow-refresh=rt_1; Path=/graphql; Max-Age=604800; HttpOnly; SameSite=Strict; Secure',
    ]);
  });

  it('are ended with the same names and paths', () => {
    expect(createCookies('insecure', '/graphql').clear()).toEqual([
      'taskflow-access=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict',
      'taskflow-refresh=; Path=/graphql; Max-Age=0; HttpOnly; SameSite=Strict',
    ]);
  });

  it('are read by their exact names, the first of each, and nothing else is', () => {
    const { read } = createCookies('on', '/graphql');
    const cookie =
      'x=1; __Host-taskflow-access=one; taskflow-access=two; __Host-taskflow-access=three; broken';
    expect(read({ cookie })).toEqual({ accessToken: 'one', refreshToken: null });
    expect(read({})).toEqual({ accessToken: null, refreshToken: null });
    expect(read({ cookie: `__Host-taskflow-access=${'a'.repeat(5_000)}` }).accessToken).toBeNull();
  });
});

describe('the variable ROUTER_COOKIES', () => {
  it('is off unless somebody switches it on', () => {
    expect(readRouterConfig({}).cookies).toBeNull();
    expect(readRouterConfig({ ROUTER_COOKIES: 'on' }).cookies).toBe('on');
  });

  it('is refused together with an origin that means every page, and insecure in production', () => {
    expect(() => readRouterConfig({ ROUTER_COOKIES: 'on', ROUTER_CORS_ORIGINS: '*' })).toThrow(
      'name the origins',
    );
    const production = { TASKFLOW_MODE: 'production', ROUTER_COOKIES: 'insecure' };
    expect(() => readRouterConfig({ ...secrets, ...production })).toThrow('refused in production');
  });
});

const key = `k1:${'k'.repeat(32)}`;
const secrets = {
  ...{ USER_CONTEXT_KEY: key, ORG_CONTEXT_KEY: key, TASK_CONTEXT_KEY: key, NOTIFICATION_CONTEXT_KEY: key },
  ...{ REDIS_URL: 'redis://r:1', ROUTER_USER_URL: 'http://u', ROUTER_ORG_URL: 'http://o' },
  ...{ ROUTER_TASK_URL: 'http://t', ROUTER_NOTIFICATION_URL: 'http://n', ROUTER_JWKS_URL: 'http://u/jwks' },
};
