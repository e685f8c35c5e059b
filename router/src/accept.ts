// What a client takes beside one JSON document, read off its Accept header (RFC 9110: ranges, parameters, q).
//
//   text/event-stream                        graphql-over-SSE, one connection per operation
//   multipart/mixed (;subscriptionSpec=1.0)  Apollo's protocol for subscriptions
//   multipart/mixed;deferSpec=20220824       an answer with @defer, part by part
//
// A stream must be asked for by its name: `*/*` is what people send who would wait for its end.

/** How a subscription travels over HTTP. */
export type StreamKind = 'sse' | 'multipart';

/** The draft of incremental delivery that clients have settled on. */
export const DEFER_SPEC = '20220824';

interface Range {
  readonly type: string;
  readonly params: ReadonlyMap<string, string>;
  readonly q: number;
}

/** The stream that the client prefers for a subscription; null when it takes none. */
export function streamOf(accept: string | undefined): StreamKind | null {
  let best: { kind: StreamKind; q: number } | null = null;
  for (const range of rangesOf(accept)) {
    const kind = kindOf(range);
    if (kind && range.q > (best?.q ?? 0)) best = { kind, q: range.q };
  }
  return best?.kind ?? null;
}

/** True where an answer to an operation with `@defer` may come in parts. */
export function takesParts(accept: string | undefined): boolean {
  if (!accept?.includes(DEFER_SPEC)) return false;
  return rangesOf(accept).some(
    ({ type, params, q }) => type === 'multipart/mixed' && params.get('deferspec') === DEFER_SPEC && q > 0,
  );
}

/** True where one JSON document will do: by name, by a wildcard, or for want of any word on it. */
export function takesJson(accept: string | undefined): boolean {
  if (!accept || accept === '*/*' || accept === 'application/json') return true;
  return rangesOf(accept).some(({ type, q }) => JSON_RANGES.has(type) && q > 0);
}

const JSON_TYPES = ['application/json', 'application/graphql-response+json'] as const;

/**
 * The media type of one JSON document: the one with the higher q, then the one that is named rather than covered by a
 * wildcard, then the one named first; and the one that every client reads where nothing says more.
 */
export function jsonTypeOf(accept: string | undefined): (typeof JSON_TYPES)[number] {
  const [older, newer] = JSON_TYPES;
  if (!accept?.includes(newer)) return older;
  const ranges = rangesOf(accept);
  const [one, other] = [rankOf(older, ranges), rankOf(newer, ranges)];
  const difference = other.q - one.q || other.specificity - one.specificity || one.at - other.at;
  return difference > 0 ? newer : older;
}

/** How much a type is wanted: by the most specific range that covers it. */
function rankOf(type: string, ranges: readonly Range[]) {
  for (const [missing, pattern] of [type, 'application/*', '*/*'].entries()) {
    const at = ranges.findIndex((range) => range.type === pattern);
    if (at !== -1) return { q: ranges[at]?.q ?? 0, specificity: -missing, at };
  }
  return { q: 0, specificity: -3, at: ranges.length };
}

const JSON_RANGES = new Set([
  'application/json',
  'application/graphql-response+json',
  'application/*',
  '*/*',
]);

function kindOf({ type, params }: Range): StreamKind | null {
  if (type === 'text/event-stream') return 'sse';
  if (type !== 'multipart/mixed') return null;
  // Some clients name no specification at all; those that name @defer's alone would not read events.
  const spec = params.get('subscriptionspec') ?? (params.has('deferspec') ? 'none' : '1.0');
  return spec === '1.0' ? 'multipart' : null;
}

function rangesOf(accept = ''): Range[] {
  return accept.split(',').map((text) => {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim());
    const params = new Map(
      rest.map((part) => {
        const [name = '', value = ''] = part.split('=', 2).map((side) => side.trim());
        return [name.toLowerCase(), value.replace(/^"(.*)"$/, '$1')];
      }),
    );
    const q = Number(params.get('q') ?? 1);
    return { type: type.toLowerCase(), params, q: Number.isFinite(q) ? q : 0 };
  });
}
