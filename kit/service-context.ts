/**
 * Who may call, and what a resolver sees of the call.
 *
 * `createGate` is the door of a subgraph: it verifies the signed context over the exact bytes before anything is
 * parsed, and afterwards keeps an anonymous caller to the fields that are open to them, an API key to its scopes, and a group of
 * viewers to what they all read alike.
 */
import { randomUUID } from 'node:crypto';
import { type DocumentNode, getOperationAST, Kind, type SelectionSetNode } from 'graphql';
import { DomainError } from './errors.ts';
import {
  type ContextClaims,
  ContextError,
  type Established,
  type EstablishedTokens,
  type KeyRing,
  type Reader,
  type Scope,
  type Viewer,
  verifyContext,
} from './identity.ts';
import type { Log } from './log.ts';
import { createReplays } from './replays.ts';
import type { SharedFields } from './shared.ts';

/** What the harness puts on every resolver context, beside what the service builds. */
export interface RequestContext {
  viewer: Viewer | null;
  /** The viewer, or the group for which a shared subscription is run: only what is marked `@shared` may read for it. */
  reader: Reader | null;
  requestId: string;
  claims: ContextClaims;
  log: Log;
  /** Subscriptions: the position that the router resumes after; it wins over the `after` argument. */
  resumeAfter: number | null;
  /**
   * For credential mutations: the rest of this operation runs as `viewer` (the service's context is built anew
   * for them) and the response carries the signed `taskflow-established` header, with the tokens where the router wants
   * them there. Not in subscriptions.
   */
  establish(viewer: Viewer, tokens?: EstablishedTokens): void;
}

/** Builds the service's part of the context (loaders, use cases): once a request, once a subscription event. */
export type BuildContext = (claims: ContextClaims, base: RequestContext) => object;

export interface BuiltContext {
  readonly context: RequestContext;
  /** Names the copy that resolvers will see: Apollo Server clones the context it is given. */
  adopt(copy: RequestContext): void;
  /** What a credential mutation established, if one did. */
  established(): Established | null;
}

export function buildContext(
  build: BuildContext,
  parts: { claims: ContextClaims; log: Log; resumeAfter?: number | null; canEstablish: boolean },
): BuiltContext {
  let established: Established | null = null;
  const baseFor = (claims: ContextClaims): RequestContext => ({
    viewer: claims.viewer,
    reader: claims.viewer ?? claims.viewerGroup ?? null,
    requestId: claims.requestId,
    claims,
    log: parts.log,
    resumeAfter: parts.resumeAfter ?? null,
    establish,
  });
  const contextFor = (claims: ContextClaims): RequestContext => {
    const base = baseFor(claims);
    return Object.assign(build(claims, base), base);
  };
  function establish(viewer: Viewer, tokens?: EstablishedTokens): void {
    if (!parts.canEstablish) throw new Error('only a request over HTTP can establish a viewer');
    established = { viewer, tokens };
    Object.assign(seen, contextFor({ ...parts.claims, viewer }));
  }
  const context = contextFor(parts.claims);
  let seen = context;
  return {
    context,
    adopt(copy) {
      seen = copy;
    },
    established: () => established,
  };
}

export interface Caller {
  readonly claims: ContextClaims;
  /** An unsigned call from loopback, let in by the development switch. */
  readonly isUnsigned: boolean;
}

export interface Origin {
  readonly address: string | undefined;
  /** False when a proxy or a web page stands behind the call, so that `address` says nothing about the caller. */
  readonly isDirect: boolean;
}

export interface Gate {
  /** The caller behind these bytes; throws ContextError. */
  admit(header: string | undefined, bytes: Buffer | string, origin: Origin): Caller;
  /**
   * Throws UNAUTHENTICATED when an anonymous caller selects a root field that is not open to them, FORBIDDEN when an API key
   * selects one that its scopes do not cover, UNAUTHENTICATED when a group of viewers selects anything that is not shared among them.
   */
  checkFields(caller: Caller, document: DocumentNode, operationName: string | null | undefined): void;
}

/** What composition tools and other routers ask of a subgraph. */
const FIELDS_OF_TOOLS = ['_service', '_entities', '__schema', '__type'];

/** Of a root field; PERSON: no API key may, whatever its scopes. `type` is `Query`, `Mutation` or `Subscription`. */
export type NeededScope = (type: string, field: string) => Scope | 'PERSON';

/** Of a service that says nothing about API keys. */
const readOnly: NeededScope = (type) => (type === 'Mutation' ? 'PERSON' : 'READ');

export function createGate(options: {
  name: string;
  ring: KeyRing;
  anonymousFields: readonly string[];
  neededScope?: NeededScope | undefined;
  shared: SharedFields;
  allowUnsigned: boolean;
}): Gate {
  const neededScope = options.neededScope ?? readOnly;
  const openFields = new Set(['__typename', ...options.anonymousFields]);
  const openUnsigned = new Set([...openFields, ...FIELDS_OF_TOOLS]);
  const replays = createReplays();
  return {
    admit(header, bytes, origin) {
      if (header === undefined && options.allowUnsigned && isLoopback(origin)) {
        return { claims: unsignedClaims(options.name), isUnsigned: true };
      }
      const claims = verifyContext(options.ring, options.name, header, bytes);
      if (claims.viewer && claims.viewerGroup) throw new ContextError('malformed');
      if (!replays.isFirst(claims.nonce)) throw new ContextError('replayed');
      return { claims, isUnsigned: false };
    },
    checkFields(caller, document, operationName) {
      const { viewer, viewerGroup } = caller.claims;
      if (viewerGroup) {
        if (options.shared.areAllIn(document, operationName, viewerGroup.role)) return;
        throw unauthenticated();
      }
      if (viewer?.scopes) return checkScopes(viewer.scopes, neededScope, document, operationName);
      if (viewer) return;
      const open = caller.isUnsigned ? openUnsigned : openFields;
      if (rootFieldsOf(document, operationName).every((field) => open.has(field))) return;
      throw unauthenticated();
    },
  };
}

/** What the router asks on behalf of an operation that was let in at its root, and what names no data. */
const isUnscoped = (field: string) => field === '_entities' || field === '__typename';

function checkScopes(
  scopes: readonly Scope[],
  neededScope: NeededScope,
  document: DocumentNode,
  operationName: string | null | undefined,
): void {
  const { operation = 'query' } = getOperationAST(document, operationName) ?? {};
  const type = `${operation[0]?.toUpperCase()}${operation.slice(1)}`;
  for (const field of rootFieldsOf(document, operationName)) {
    if (isUnscoped(field)) continue;
    const needed = neededScope(type, field);
    if (needed === 'PERSON') throw forbidden(`${field} is for people: an API key may not do this.`);
    if (!scopes.includes(needed))
      throw forbidden(`The API key lacks the scope ${needed}, which ${field} needs.`);
  }
}

const forbidden = (message: string) => new DomainError('FORBIDDEN', message);

/** The only thing a refused caller learns. */
export function unauthenticated(): DomainError {
  return new DomainError('UNAUTHENTICATED', 'This call needs a valid signed context.');
}

export function problemOf(error: unknown): string {
  if (error instanceof ContextError) return error.problem;
  throw error;
}

/** Names of the root fields of one operation, through fragments, whatever its directives say. */
export function rootFieldsOf(document: DocumentNode, operationName: string | null | undefined): string[] {
  const operation = getOperationAST(document, operationName);
  const fields = new Set<string>();
  const visited = new Set<string>();
  const collect = (selectionSet: SelectionSetNode): void => {
    for (const selection of selectionSet.selections) {
      if (selection.kind === Kind.FIELD) fields.add(selection.name.value);
      else if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
      else if (!visited.has(selection.name.value)) {
        visited.add(selection.name.value);
        for (const definition of document.definitions) {
          const isNamed = definition.kind === Kind.FRAGMENT_DEFINITION;
          if (isNamed && definition.name.value === selection.name.value) collect(definition.selectionSet);
        }
      }
    }
  };
  if (operation) collect(operation.selectionSet);
  return [...fields];
}

function unsignedClaims(audience: string): ContextClaims {
  const requestId = randomUUID();
  return { viewer: null, requestId, audience, expiresAt: Number.POSITIVE_INFINITY, bodyHash: '', nonce: '' };
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/;

function isLoopback({ address, isDirect }: Origin): boolean {
  return isDirect && address !== undefined && LOOPBACK.test(address);
}
