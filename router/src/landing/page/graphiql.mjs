/**
 * GraphiQL for the landing page; built into one bundle by ../graphiql-bundle.ts.
 * Its requests carry the token of the page's session, unless the Headers tab names another.
 */
import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import { Kind, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import { createElement, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { createExplanations } from './explain.mjs';

/** Shows GraphiQL in `target`. Returns the workbench of the page. */
export function mountGraphiql(target, { endpoint, socketEndpoint, session, operations, current }) {
  const commands = { open: () => {} };
  const explanations = createExplanations();
  const connection = createConnection(endpoint, socketEndpoint, session, explanations);
  createRoot(target).render(
    createElement(
      GraphiQL,
      {
        fetcher: connection.fetcher,
        plugins: [explanations.plugin],
        defaultTabs: tabsOf(operations, current),
        // Of the first tab GraphiQL takes the query only.
        ...(current.variables ? { initialVariables: tabOf(current).variables } : {}),
        storage: memoryStorage(),
        shouldPersistHeaders: false,
        showPersistHeadersSettings: false,
        defaultEditorToolsVisibility: 'variables',
      },
      createElement(Remote, { commands }),
    ),
  );
  return { open: (operation) => commands.open(operation), signedIn: () => connection.reset() };
}

/** The operation that was chosen last stands first: GraphiQL opens its first tab. */
function tabsOf(operations, current) {
  return [current, ...operations.filter((operation) => operation !== current)].map(tabOf);
}

function tabOf({ query, variables }) {
  return { query, variables: variables ? JSON.stringify(variables, null, 2) : '', headers: '' };
}

/** Lets the page, outside of React, open an operation: in its tab, or in a new one. */
function Remote({ commands }) {
  const actions = useGraphiQLActions();
  const tabs = useGraphiQL((state) => state.tabs);
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  useEffect(() => {
    commands.open = (operation) => {
      const known = tabs.findIndex(({ query }) => query === operation.query);
      if (known >= 0) {
        actions.changeTab(known);
        return;
      }
      const { query, variables } = tabOf(operation);
      actions.addTab();
      queryEditor?.setValue(query);
      variableEditor?.setValue(variables);
    };
  }, [commands, actions, tabs, queryEditor, variableEditor]);
  return null;
}

/** HTTP and WebSocket with the session's token. */
function createConnection(endpoint, socketEndpoint, session, explanations) {
  /** What the Headers tab says, if it says something. */
  let named = null;
  let client = null;
  let fetchThrough = null;

  async function authorization() {
    return named ?? (await session.authorization());
  }

  async function authorizedFetch(url, init) {
    const value = await authorization();
    return fetch(url, { ...init, headers: { ...init.headers, ...(value ? { authorization: value } : {}) } });
  }

  /** A socket authenticates once: another person needs another one. */
  function reset() {
    client?.dispose();
    client = createClient({
      url: socketEndpoint,
      connectionParams: async () => {
        const value = await authorization();
        return value ? { authorization: value } : {};
      },
    });
    fetchThrough = createGraphiQLFetcher({ url: endpoint, wsClient: client, fetch: authorizedFetch });
  }

  function fetcher(params, options) {
    const headers = Object.entries(options?.headers ?? {});
    const given = headers.find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? null;
    const hasChanged = given !== named;
    named = given;
    if (hasChanged) reset();
    const { request, documentAST } = asWritten(params, options);
    const asked = { ...options, documentAST, headers: explanations.asking(options?.headers) };
    const answering = fetchThrough(request, asked);
    // A subscription is left as it is: whoever stops it wants it to stop now, not after its next event.
    return isSubscription(documentAST, request.operationName) ? answering : explanations.taken(answering);
  }

  reset();
  return { fetcher, reset };
}

/**
 * What the editor shows, read again: GraphiQL looks at a changed document only after a moment, and somebody quick
 * would send a subscription as a query, or under the name of the operation before.
 */
function asWritten(params, options) {
  try {
    const documentAST = parse(params.query);
    const operations = documentAST.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    const [only] = operations.length === 1 ? operations : [];
    const operationName = only ? only.name?.value : params.operationName;
    return { request: { ...params, operationName }, documentAST };
  } catch {
    return { request: params, documentAST: options?.documentAST };
  }
}

function isSubscription(documentAST, operationName) {
  const isMeant = ({ kind, name }) =>
    kind === Kind.OPERATION_DEFINITION && (!operationName || name?.value === operationName);
  return documentAST?.definitions.find(isMeant)?.operation === 'subscription';
}

/** Tabs live as long as the page: a stranger always finds the saved operations. */
function memoryStorage() {
  const values = new Map();
  return {
    getItem: (key) => values.get(key) ?? null,
    setItem: (key, value) => values.set(key, value),
    removeItem: (key) => values.delete(key),
    clear: () => values.clear(),
    get length() {
      return values.size;
    },
  };
}
