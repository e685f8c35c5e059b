// Answers of subgraphs, kept as far as `@cacheControl` hints allow.
//
//   request ─▶ what of it may be kept? (request-policy, once per text) ─▶ keys ─▶ this process ─▶ being asked ─▶ Redis ─▶ subgraph
//                                                                                  └ waited for             └ only what is missing
//
// A key holds the subgraph's address, what is asked, whom it is for, and the tenant's version (versions.ts):
//
//   PUBLIC    everybody in the tenant        PRIVATE   the caller's whole scope (scope.ts)
//
// Only queries, only answers without errors, never what is not there. An entity is kept for itself: a request asks for those
// that are missing. Texts are kept and parsed for each consumer, since data of others is merged into an answer.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Exchange } from '../exchange.ts';
import { subgraphRequest } from '../execution/subgraph-request.ts';
import type { LoadedSupergraph } from '../gateway/loaded-supergraph.ts';
import type { SubgraphAnswer, SubgraphCall } from '../gateway/subgraph-calls.ts';
import { scopeKeyOf, tenantOf } from '../scope.ts';
import { type AnswerStoreOptions, createAnswerStore, type StoreStats } from './answer-store.ts';
import { type CacheHints, readCacheHints } from './cache-hints.ts';
import { type EntityPart, type Lifetime, type RequestPolicy, requestPolicy } from './request-policy.ts';
import type { Versions } from './versions.ts';

type Send = (call: SubgraphCall) => Promise<SubgraphAnswer>;

export interface AnswerCache {
  /** Answers a call from what is kept, as far as it can. */
  answer(call: SubgraphCall, send: Send): Promise<SubgraphAnswer>;
  /** Reads the hints of a supergraph before its first request does. */
  prepare(supergraph: LoadedSupergraph): void;
  stats(): CacheStats;
  stop(): void;
}

export interface CacheStats extends StoreStats {
  /** Entities and whole answers that were asked for: found; asked of a subgraph; waited for beside another request. */
  readonly hits: number;
  readonly misses: number;
  readonly joined: number;
  /** Requests that never reached a subgraph. */
  readonly spared: number;
}

export interface AnswerCacheOptions extends AnswerStoreOptions {
  versions: Versions;
  /** Seconds: hints that allow more are cut. */
  maxAgeMax: number;
  /** Seconds for what has no hint, as private; 0: not kept. */
  defaultMaxAge: number;
  /** Callers have tenants, and those who have none are not kept anything. */
  isSigned: boolean;
}

/** Texts of one supergraph whose policy is known: more than plans are. */
const POLICIES_MAX = 10_000;

/** Something to be found: an entity or a whole answer. */
interface Wanted {
  readonly key: string;
  readonly ttlMs: number;
  text: string | null;
}

/** Keeps nothing. */
export function createNoAnswerCache(): Pick<AnswerCache, 'answer'> {
  return { answer: (call, send) => send(call) };
}

export function createAnswerCache(options: AnswerCacheOptions): AnswerCache {
  const { versions, maxAgeMax, defaultMaxAge, isSigned } = options;
  const store = createAnswerStore(options);
  const known = new WeakMap<LoadedSupergraph, Policies>();
  /** What is being asked: its text, or null when nothing came of it. */
  const asking = new Map<string, Promise<string | null>>();
  const counts = { hits: 0, misses: 0, joined: 0, spared: 0 };

  interface Policies {
    readonly hints: CacheHints;
    readonly byText: LRUCache<string, { policy: RequestPolicy | null }>;
  }

  function policiesOf(supergraph: LoadedSupergraph): Policies {
    const found = known.get(supergraph);
    if (found) return found;
    const made: Policies = {
      hints: readCacheHints(supergraph.sdl),
      byText: new LRUCache({ max: POLICIES_MAX }),
    };
    known.set(supergraph, made);
    return made;
  }

  /** Whether anything of that subgraph is ever kept. */
  function concerns({ exchange, subgraph }: SubgraphCall): boolean {
    if (!exchange.prepared) return false;
    return defaultMaxAge > 0 || policiesOf(exchange.prepared.supergraph).hints.subgraphs.has(subgraph);
  }

  function policyOf({ exchange, request, subgraph }: SubgraphCall): RequestPolicy | null {
    const { prepared, headers } = exchange;
    if (prepared?.operation.operation !== 'query') return null;
    // Who names a point in time wants to read at least what was there then.
    if (headers['taskflow-min-sync-id'] !== undefined) return null;
    const { hints, byText } = policiesOf(prepared.supergraph);
    const text = `${subgraph} ${request.query}`;
    const found = byText.get(text);
    if (found) return found.policy;
    const policy = requestPolicy(hints, subgraph, request.query, { defaultMaxAge });
    byText.set(text, { policy });
    return policy;
  }

  /** What a key holds beside what is asked; null: nothing may be kept for this caller now. */
  function scopesOf(call: SubgraphCall): ((lifetime: Lifetime) => string) | null {
    const { exchange, subgraph, url } = call;
    const tenant = tenantOf(exchange);
    const version = isSigned && tenant === '' ? null : versions.of(tenant, subgraph);
    if (version === null) return null;
    const { locale, scope } = { locale: localeOf(exchange), scope: scopeKeyOf(exchange) };
    const base = JSON.stringify([url.href, version, tenant, locale]);
    return ({ isPrivate }) => (isPrivate ? `${base}${scope}` : base);
  }

  const ttlMsOf = ({ maxAge }: Lifetime): number => Math.min(maxAge, maxAgeMax) * 1_000;

  /** Finds what is wanted here, beside other requests, or in Redis; what is left is `ask`ed for by whoever wants it first. */
  async function find(
    tenant: string,
    wanted: readonly Wanted[],
    ask: (missing: readonly Wanted[]) => Promise<void>,
  ): Promise<void> {
    const missing = wanted.filter((one) => {
      one.text = store.find(one.key);
      return one.text === null;
    });
    counts.hits += wanted.length - missing.length;
    if (missing.length === 0) return;
    const joined = missing.filter(({ key }) => asking.has(key));
    const own = missing.filter(({ key }) => !asking.has(key));
    const waiting = joined.map(async (one) => {
      one.text = (await asking.get(one.key)) ?? null;
    });
    await Promise.all([...waiting, lead(tenant, own, ask)]);
    counts.joined += joined.length;
    // Whoever was waited for came back with nothing: asked for here, and waited for by nobody.
    const left = joined.filter(({ text }) => text === null);
    counts.misses += left.length;
    if (left.length > 0) await ask(left);
  }

  async function lead(
    tenant: string,
    own: readonly Wanted[],
    ask: (missing: readonly Wanted[]) => Promise<void>,
  ): Promise<void> {
    if (own.length === 0) return;
    const settled = Promise.withResolvers<void>();
    for (const one of own)
      asking.set(
        one.key,
        settled.promise.then(() => one.text),
      );
    try {
      const texts = await store.fetch(
        tenant,
        own.map(({ key }) => key),
      );
      for (const [at, one] of own.entries()) one.text = texts[at] ?? null;
      const left = own.filter(({ text }) => text === null);
      counts.hits += own.length - left.length;
      counts.misses += left.length;
      if (left.length === 0) return;
      await ask(left);
      store.keep(
        tenant,
        left.flatMap(({ key, text, ttlMs }) => (text === null ? [] : [{ key, text, ttlMs }])),
      );
    } finally {
      for (const { key } of own) asking.delete(key);
      settled.resolve();
    }
  }

  async function answerWhole(
    call: SubgraphCall,
    lifetime: Lifetime,
    scopeOf: (lifetime: Lifetime) => string,
    send: Send,
  ) {
    const key = keyOf(scopeOf(lifetime), call.request.body);
    const wanted: Wanted = { key, ttlMs: ttlMsOf(lifetime), text: null };
    let asked: SubgraphAnswer | null = null;
    await find(tenantOf(call.exchange), [wanted], async () => {
      asked = await send(call);
      if (isKeepable(asked)) wanted.text = JSON.stringify(asked.data);
    });
    if (asked) return asked as SubgraphAnswer;
    counts.spared++;
    return { data: JSON.parse(wanted.text ?? 'null') };
  }

  async function answerEntities(
    call: SubgraphCall,
    parts: readonly EntityPart[],
    scopeOf: (lifetime: Lifetime) => string,
    send: Send,
  ) {
    const entities = new EntityRequest(call, parts);
    const wanted = entities.places.flatMap((place) => {
      const lifetime = place.part.lifetimeOf(place.typename);
      if (!lifetime) return [];
      const key = keyOf(
        scopeOf(lifetime),
        `${place.part.selection}\n${entities.otherVariables}\n${place.representation}`,
      );
      place.wanted = { key, ttlMs: ttlMsOf(lifetime), text: null };
      return [place.wanted];
    });
    if (wanted.length === 0) return send(call);
    let isAsked = false;
    const unkept = new Set(entities.places.filter((place) => !place.wanted));
    await find(tenantOf(call.exchange), wanted, async (missing) => {
      isAsked = true;
      const asked = new Set(missing);
      await entities.ask(
        send,
        (place) => unkept.has(place) || (place.wanted !== null && asked.has(place.wanted)),
      );
      unkept.clear();
    });
    if (unkept.size > 0) {
      isAsked = true;
      await entities.ask(send, (place) => unkept.has(place));
    }
    if (!isAsked) counts.spared++;
    return entities.answer();
  }

  return {
    async answer(call, send) {
      const { exchange, subgraph, request } = call;
      if (!concerns(call)) return send(call);
      if (!request.isRead) {
        const ended = versions.write(tenantOf(exchange), subgraph);
        const before = tenantOf(exchange);
        try {
          return await send(call);
        } finally {
          ended();
          // Of the viewer whom it has established.
          if (tenantOf(exchange) !== before) versions.write(tenantOf(exchange), subgraph)();
        }
      }
      const policy = policyOf(call);
      const scopeOf = policy && scopesOf(call);
      if (!policy || !scopeOf) return send(call);
      return policy.kind === 'whole'
        ? answerWhole(call, policy.lifetime, scopeOf, send)
        : answerEntities(call, policy.parts, scopeOf, send);
    },
    prepare: (supergraph) => void policiesOf(supergraph),
    stats: () => ({ ...counts, ...store.stats() }),
    stop: store.stop,
  };
}

/** Part of the signed context, and of no scope: what a subgraph may write its texts by. */
function localeOf({ headers }: Exchange): string {
  return headers['accept-language'] ?? '';
}

function keyOf(scope: string, asked: string): string {
  return hash('sha256', `${scope}\n${asked}`, 'base64url');
}

function isKeepable({ data, errors }: SubgraphAnswer): boolean {
  return !errors?.length && data != null && Object.values(data).every((value) => value !== null);
}

interface Place {
  readonly part: EntityPart;
  readonly at: number;
  readonly typename: string;
  /** As JSON text. */
  readonly representation: string;
  /** Null: not to be kept. */
  wanted: Wanted | null;
}

type GraphqlError = NonNullable<SubgraphAnswer['errors']>[number] & { path?: readonly (string | number)[] };

/** The representations of a request, each in its place, and the request for some of them. */
class EntityRequest {
  readonly places: Place[] = [];
  readonly otherVariables: string;
  readonly #call: SubgraphCall;
  readonly #parts: readonly EntityPart[];
  readonly #variables: Record<string, unknown>;
  readonly #data: Record<string, unknown[]> = {};
  readonly #errors: GraphqlError[] = [];
  readonly #asked = new Set<Place>();
  #extensions: SubgraphAnswer['extensions'];
  #isNothing = false;

  constructor(call: SubgraphCall, parts: readonly EntityPart[]) {
    this.#call = call;
    this.#parts = parts;
    this.#variables = call.request.variables();
    const others = { ...this.#variables };
    for (const part of parts) {
      delete others[part.variable];
      const list = this.#representations(part);
      this.#data[part.key] = list.map(() => null);
      for (const [at, one] of list.entries()) {
        const typename = String((one as { __typename?: unknown }).__typename);
        this.places.push({ part, at, typename, representation: JSON.stringify(one), wanted: null });
      }
    }
    this.otherVariables = JSON.stringify(others);
  }

  #representations({ variable }: EntityPart): readonly unknown[] {
    const given = this.#variables[variable];
    return Array.isArray(given) ? given : [];
  }

  async ask(send: Send, isMeant: (place: Place) => boolean): Promise<void> {
    const meant = this.places.filter(isMeant);
    for (const place of meant) this.#asked.add(place);
    const answer = await send(meant.length === this.places.length ? this.#call : this.#callFor(meant));
    const { data, errors = [], extensions } = answer;
    this.#extensions ??= extensions;
    this.#errors.push(...errors.map((error) => this.#placed(error, meant)));
    if (data == null) {
      this.#isNothing ||= errors.length > 0;
      return;
    }
    for (const part of this.#parts) {
      const given = data[part.key];
      const ofPart = meant.filter((place) => place.part === part);
      for (const [position, place] of ofPart.entries()) {
        const value = Array.isArray(given) ? (given[position] ?? null) : null;
        (this.#data[part.key] as unknown[])[place.at] = value;
        // With an error beside it nobody knows which of the values it has touched.
        if (place.wanted && value !== null && errors.length === 0) place.wanted.text = JSON.stringify(value);
      }
    }
  }

  #callFor(meant: readonly Place[]): SubgraphCall {
    const { request } = this.#call;
    const variables = { ...this.#variables };
    for (const part of this.#parts) {
      const list = this.#representations(part);
      variables[part.variable] = meant.filter((place) => place.part === part).map(({ at }) => list[at]);
    }
    const { query, operationName } = request;
    return {
      ...this.#call,
      headers: { ...this.#call.headers },
      request: subgraphRequest({ query, operationName, variables }),
    };
  }

  /** The index in a path is that among those which were asked. */
  #placed(error: GraphqlError, meant: readonly Place[]): GraphqlError {
    const [key, position, ...rest] = error.path ?? [];
    if (typeof position !== 'number') return error;
    const place = meant.filter(({ part }) => part.key === key)[position];
    return place ? { ...error, path: [key as string, place.at, ...rest] } : error;
  }

  answer(): SubgraphAnswer {
    const found = this.places.filter((place) => !this.#asked.has(place) && place.wanted?.text != null);
    // One parse for all of them.
    const values = JSON.parse(`[${found.map((place) => place.wanted?.text).join(',')}]`) as unknown[];
    for (const [at, { part, at: index }] of found.entries())
      (this.#data[part.key] as unknown[])[index] = values[at];
    return {
      data: this.#isNothing && found.length === 0 ? null : this.#data,
      ...(this.#errors.length > 0 ? { errors: this.#errors } : {}),
      ...(this.#extensions ? { extensions: this.#extensions } : {}),
    };
  }
}
