/**
 * The page in the browser: who is signed in, which saved operation is open, and in which workbench.
 * A workbench is { open(operation), signedIn() }; Sandbox comes from the internet, GraphiQL from this router.
 */
import { takeOperationFromMail } from './from-mail.mjs';
import { createSession } from './session.mjs';

const SANDBOX_SCRIPT =
  'https://embeddable-sandbox.cdn.apollographql.com/_latest/embeddable-sandbox.umd.production.min.js';
/** Long enough for a slow line, short enough for a stranger who is offline. */
const SANDBOX_TIMEOUT_MS = 2_500;
const CHOICE_KEY = 'taskflow:workbench';

const { operations, demo } = JSON.parse(byId('landing').textContent);
const endpoint = new URL('/graphql', location.href).href;
const socketEndpoint = endpoint.replace(/^http/, 'ws');
const session = createSession(endpoint);

const fromMail = takeOperationFromMail(location, history);
if (fromMail) operations.unshift(fromMail);
let current = operations[0];
let workbench = null;

byId('endpoint').textContent = endpoint;
showPeople();
showOperations();
for (const button of byId('workbenches').querySelectorAll('button')) {
  button.addEventListener('click', () => {
    localStorage.setItem(CHOICE_KEY, button.dataset.workbench);
    openWorkbench(button.dataset.workbench);
  });
}
openWorkbench(
  new URL(location.href).searchParams.get('workbench') ?? localStorage.getItem(CHOICE_KEY) ?? 'sandbox',
);

function showPeople() {
  if (!demo) return;
  byId('demo').hidden = false;
  if (demo.mailboxUrl) {
    byId('mailbox').querySelector('a').href = demo.mailboxUrl;
    byId('mailbox').hidden = false;
  }
  for (const person of demo.people) {
    const button = choice(byId('people'), person.name, `${person.role} of ${person.organization}`);
    button.dataset.email = person.email;
    button.addEventListener('click', () => signIn(person, button));
  }
}

async function signIn(person, button) {
  const note = byId('session');
  button.disabled = true;
  note.textContent = 'Signing in …';
  note.dataset.state = '';
  try {
    await session.signIn(person.email, demo.password);
    press(byId('people'), button);
    note.textContent = `Signed in as ${person.name}: every request and socket carries the token.`;
    note.dataset.state = 'good';
    workbench?.signedIn();
  } catch (error) {
    note.textContent = `Could not sign in: ${error.message}`;
    note.dataset.state = 'bad';
  } finally {
    button.disabled = false;
  }
}

function showOperations() {
  for (const operation of operations) {
    const button = choice(byId('operations'), operation.title, operation.kind);
    button.addEventListener('click', () => {
      current = operation;
      press(byId('operations'), button);
      workbench?.open(operation);
    });
  }
  press(byId('operations'), byId('operations').querySelector('button'));
}

async function openWorkbench(name) {
  const note = byId('workbench-note');
  note.textContent = '';
  const target = document.createElement('div');
  target.id = 'workbench';
  byId('ide').replaceChildren(target);
  wait(target, 'Opening the workbench …');
  try {
    workbench = name === 'sandbox' ? await openSandbox(target) : await openGraphiql(target);
    mark(name === 'sandbox' ? 'sandbox' : 'graphiql');
  } catch {
    if (name === 'sandbox') {
      await openWorkbench('graphiql');
      note.textContent = 'Apollo Sandbox could not be reached: this is the GraphiQL of the router.';
      return;
    }
    wait(target, 'GraphiQL could not be opened. The log of the router says why; the API is at /graphql.');
  }
}

async function openSandbox(target) {
  await loadScript(SANDBOX_SCRIPT, SANDBOX_TIMEOUT_MS);
  const show = async () => {
    target.replaceChildren();
    const authorization = await session.authorization();
    new window.EmbeddedSandbox({
      target: '#workbench',
      initialEndpoint: endpoint,
      initialSubscriptionEndpoint: socketEndpoint,
      initialState: {
        document: current.query,
        variables: current.variables,
        headers: authorization ? { authorization } : {},
        includeCookies: false,
      },
      hideCookieToggle: true,
      runTelemetry: false,
    });
  };
  await show();
  return { open: show, signedIn: show };
}

async function openGraphiql(target) {
  wait(target, 'Preparing GraphiQL. The first time this takes a few seconds …');
  const { mountGraphiql } = await import('/landing/graphiql/graphiql.js');
  const style = document.createElement('link');
  style.rel = 'stylesheet';
  style.href = '/landing/graphiql/graphiql.css';
  document.head.append(style);
  target.replaceChildren();
  target.className = '';
  return mountGraphiql(target, { endpoint, socketEndpoint, session, operations, current });
}

function loadScript(src, timeoutMs) {
  return new Promise((resolve, reject) => {
    if (window.EmbeddedSandbox) return resolve();
    const script = document.createElement('script');
    const timer = setTimeout(() => fail(new Error('timeout')), timeoutMs);
    const fail = (error) => {
      clearTimeout(timer);
      script.remove();
      reject(error);
    };
    script.src = src;
    script.onload = () => {
      clearTimeout(timer);
      resolve();
    };
    script.onerror = () => fail(new Error('unreachable'));
    document.head.append(script);
  });
}

function choice(list, title, detail) {
  const button = document.createElement('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', 'false');
  button.append(element('strong', title), element('small', detail));
  const item = document.createElement('li');
  item.append(button);
  list.append(item);
  return button;
}

function press(list, pressed) {
  for (const button of list.querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button === pressed));
  }
}

function mark(name) {
  press(byId('workbenches'), byId('workbenches').querySelector(`[data-workbench="${name}"]`));
}

function wait(target, text) {
  target.className = 'waiting';
  target.textContent = text;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function byId(id) {
  return document.getElementById(id);
}
