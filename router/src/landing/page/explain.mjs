/**
 * The panel "How this answer came about" of GraphiQL: plan, calls, statements, cost and times of the last answer. Every
 * request asks to be explained; the explanation is taken out of the answer before that is shown.
 */
import { createElement, useSyncExternalStore } from 'react';

const HEADER = 'taskflow-explain';

export function createExplanations() {
  let last = null;
  const listeners = new Set();
  const store = {
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    read: () => last,
  };

  function keep(explanation) {
    last = explanation;
    for (const listener of listeners) listener();
  }

  function take(answer) {
    if (!answer?.extensions?.explain) return answer;
    const { extensions, ...rest } = answer;
    const { explain, ...others } = extensions;
    // Introspection, which GraphiQL sends by itself, is nobody's answer.
    if (explain.operation !== 'IntrospectionQuery') keep(explain);
    return Object.keys(others).length > 0 ? { ...rest, extensions: others } : rest;
  }

  return {
    plugin: {
      title: 'How this answer came about',
      icon: Icon,
      content: () => createElement(Panel, { store }),
    },
    asking: (headers) => ({ ...headers, [HEADER]: 'true' }),
    /** The answers of a query or mutation, as they would be without having been asked to be explained. */
    async *taken(answering) {
      const answers = await answering;
      const several = Symbol.asyncIterator in answers ? answers : [answers];
      for await (const answer of several) yield Array.isArray(answer) ? answer.map(take) : take(answer);
    },
  };
}

function Icon() {
  return createElement(
    'svg',
    { viewBox: '0 0 16 16', fill: 'none', stroke: 'currentColor', strokeWidth: 1.5, 'aria-hidden': true },
    createElement('path', { d: 'M1 3h7M4 8h9M8 13h7' }),
  );
}

const HINT =
  'Run a query or mutation as somebody who has signed in: its plan, its calls to subgraphs, their SQL statements, its cost and its times appear here.';

function Panel({ store }) {
  const explained = useSyncExternalStore(store.subscribe, store.read);
  if (!explained) return createElement('p', { className: 'explain' }, HINT);
  const { timings, calls, statements, cost, plan, operation, executedBy } = explained;
  const facts = [
    [`${timings.totalMs} ms`, `in all, ${timings.preparedMs} ms of them before the first call`],
    [`${calls.length}`, calls.length === 1 ? 'call to a subgraph' : 'calls to subgraphs'],
    [`${statements}`, statements === 1 ? 'SQL statement' : 'SQL statements'],
    ...(cost
      ? [[`${cost.actual ?? cost.requested}`, `points of cost, ${cost.requested} at most expected`]]
      : []),
  ];
  return createElement(
    'div',
    { className: 'explain' },
    createElement('h3', null, operation ?? 'The last answer'),
    createElement(
      'ul',
      null,
      ...facts.map(([value, what]) =>
        createElement('li', { key: what }, createElement('b', null, value), ' ', what),
      ),
    ),
    createElement('h4', null, 'Calls'),
    createElement(
      'ol',
      null,
      ...calls.map((call, n) => createElement(Call, { key: n, call, totalMs: timings.totalMs })),
    ),
    createElement('h4', null, `Plan, executed by the ${executedBy}`),
    createElement('pre', null, plan),
  );
}

/** A bar from when the call began to when it ended, on the line of the whole request. */
function Call({ call, totalMs }) {
  const share = (value) => `${Math.min(100, (100 * value) / Math.max(totalMs, 0.01))}%`;
  const { subgraph, startMs, durationMs, statements, entities, error, query } = call;
  const said = [
    `${durationMs} ms`,
    ...(entities > 0 ? [`${entities} ${entities === 1 ? 'entity' : 'entities'}`] : []),
    ...(statements === null ? [] : [`${statements} SQL`]),
    ...(error ? [error] : []),
  ];
  return createElement(
    'li',
    { title: query },
    createElement('b', null, subgraph),
    ' ',
    said.join(' · '),
    createElement(
      'span',
      { className: 'line' },
      createElement('span', {
        className: error ? 'bar failed' : 'bar',
        style: { marginLeft: share(startMs), width: share(durationMs) },
      }),
    ),
  );
}
