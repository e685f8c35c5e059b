/**
 * Validates docker-compose.yml and the Dockerfile without a container engine: `node dev/check-compose.ts`.
 *
 * The model is strict and holds what this repository uses, no more: a misspelt key, an unknown stage, a port
 * that nobody listens on, a variable that `.env.example` does not explain are all found here and not on the
 * machine of whoever tries it first.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describeVariables, type Variables } from '@taskflow/kit/config';
import { variables as notification } from '@taskflow/notification/config';
import { variables as org } from '@taskflow/org/config';
import { variables as migrate } from '@taskflow/prisma/config';
import { variables as router } from '@taskflow/router/config';
import { variables as task } from '@taskflow/task/config';
import { variables as user } from '@taskflow/user/config';
import { parse } from 'yaml';
import { z } from 'zod';

export interface ComposeFiles {
  compose: string;
  dockerfile: string;
  dockerignore: string;
  envExample: string;
  /** Every workspace folder, whose manifest the image needs before `npm ci`. */
  workspaces: readonly string[];
  /** By service, the variables that production must be given. */
  required: Readonly<Record<string, readonly string[]>>;
  /** Whether a path exists in the repository. */
  exists(path: string): boolean;
}

const PROCESS_PORTS: Record<string, number> = {
  router: 4000,
  user: 4001,
  org: 4002,
  task: 4003,
  notification: 4004,
};
const VARIABLES: Record<string, Variables> = { user, org, task, notification, router, migrate };
const APP_SERVICES = [...Object.keys(PROCESS_PORTS), 'migrate'].sort();

const duration = z.string().regex(/^\d+(ms|s|m)$/);
const healthcheck = z.strictObject({
  test: z.tuple([z.literal('CMD')], z.string()),
  interval: duration,
  timeout: duration,
  retries: z.int().positive(),
  start_period: duration,
});
const service = z.strictObject({
  image: z.string().regex(/^[a-z0-9./-]+(:[\w.-]+)?$/),
  build: z.strictObject({ context: z.string(), target: z.string() }).optional(),
  profiles: z.array(z.string()).optional(),
  command: z.array(z.string()).min(1).optional(),
  depends_on: z
    .record(
      z.string(),
      z.strictObject({ condition: z.enum(['service_healthy', 'service_completed_successfully']) }),
    )
    .optional(),
  environment: z.record(z.string().regex(/^[A-Z][A-Z0-9_]*$/), z.string()).optional(),
  // Published on loopback only: the defaults of development guard what is behind.
  ports: z.array(z.string().regex(/^127\.0\.0\.1:\d+:\d+$/)).optional(),
  volumes: z.array(z.string()).optional(),
  healthcheck: healthcheck.optional(),
  restart: z.enum(['no', 'unless-stopped']),
  init: z.boolean().optional(),
  read_only: z.boolean().optional(),
  tmpfs: z.array(z.string()).optional(),
  cap_drop: z.array(z.string()).optional(),
  security_opt: z.array(z.string()).optional(),
  stop_grace_period: duration.optional(),
});
const composeFile = z.strictObject({
  name: z.string(),
  services: z.record(z.string(), service),
  volumes: z.record(z.string(), z.null()).optional(),
});
type Compose = z.infer<typeof composeFile>;
type Service = z.infer<typeof service>;

/** Every problem found, each a sentence; empty when the files are sound. Reads nothing but its argument. */
export function findComposeProblems(files: ComposeFiles): string[] {
  let document: Record<string, unknown>;
  try {
    document = parse(files.compose, { merge: true, strict: true, uniqueKeys: true });
  } catch (error) {
    return [`docker-compose.yml is not YAML: ${(error as Error).message}`];
  }
  const own = Object.fromEntries(Object.entries(document).filter(([key]) => !key.startsWith('x-')));
  const parsed = composeFile.safeParse(own);
  if (!parsed.success) return z.prettifyError(parsed.error).split('\n');
  return [
    ...problemsOfVariables(files, parsed.data),
    ...problemsOfReferences(parsed.data),
    ...problemsOfProcesses(files, parsed.data),
    ...problemsOfDockerfile(files, parsed.data),
  ];
}

function problemsOfVariables(files: ComposeFiles, compose: Compose): string[] {
  const known = new Set([...files.envExample.matchAll(/^#? ?([A-Z][A-Z0-9_]*)=/gm)].map(([, name]) => name));
  const used = [...files.compose.matchAll(/(?<!\$)\$\{([A-Z0-9_]+)/g)].map(([, name]) => name);
  // What an official image is told has names of its own.
  const ours = Object.values(compose.services).filter((service) => service.build);
  const given = ours.flatMap((service) => Object.keys(service.environment ?? {}));
  return [...new Set([...used, ...given])]
    .filter((name) => !known.has(name))
    .map((name) => `${name} is used in docker-compose.yml, but .env.example does not have it`);
}

function problemsOfReferences(compose: Compose): string[] {
  const problems: string[] = [];
  for (const [name, service] of Object.entries(compose.services)) {
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      const target = compose.services[needed];
      if (!target) problems.push(`${name} depends on ${needed}, which does not exist`);
      else if (condition === 'service_healthy' && !target.healthcheck)
        problems.push(`${name} waits for ${needed} to be healthy, which has no healthcheck`);
      else if (!service.profiles && target.profiles)
        problems.push(`${name} starts always, but needs ${needed}, which does not`);
    }
    for (const volume of service.volumes ?? []) {
      const source = volume.split(':')[0] ?? '';
      if (!(source in (compose.volumes ?? {})))
        problems.push(`${name} mounts ${source}, which is not declared`);
    }
  }
  return problems;
}

function problemsOfProcesses(files: ComposeFiles, compose: Compose): string[] {
  const inProfile = Object.entries(compose.services).filter(([, service]) =>
    service.profiles?.includes('app'),
  );
  const names = inProfile.map(([name]) => name).sort();
  const problems: string[] = [];
  if (names.join() !== APP_SERVICES.join())
    problems.push(`profile app has ${names.join(', ')} instead of ${APP_SERVICES.join(', ')}`);
  for (const [name, service] of inProfile) {
    const script = service.command?.[1] ?? '';
    if (service.command?.[0] !== 'node' || !files.exists(script))
      problems.push(`${name} runs ${service.command?.join(' ')}, which does not exist`);
    for (const variable of files.required[name] ?? []) {
      if (service.environment?.[variable] === undefined)
        problems.push(`${name} is not given ${variable}, which production requires`);
    }
    const port = PROCESS_PORTS[name];
    if (port !== undefined) problems.push(...problemsOfPort(name, service, port));
  }
  return problems;
}

function problemsOfPort(name: string, service: Service, port: number): string[] {
  const prefix = name.toUpperCase();
  const problems: string[] = [];
  if (service.ports?.join() !== `127.0.0.1:${port}:${port}`)
    problems.push(`${name} does not publish ${port}`);
  if (service.environment?.[`${prefix}_PORT`] !== String(port))
    problems.push(`${prefix}_PORT is not ${port}`);
  if (service.environment?.[`${prefix}_HOST`] !== '0.0.0.0')
    problems.push(`${prefix}_HOST must be 0.0.0.0: loopback cannot be reached from another container`);
  if (!service.healthcheck?.test.join(' ').includes(`127.0.0.1:${port}/health/live`))
    problems.push(`the healthcheck of ${name} does not ask its own /health/live`);
  return problems;
}

function problemsOfDockerfile(files: ComposeFiles, compose: Compose): string[] {
  const problems: string[] = [];
  const stages = [...files.dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, stage]) => stage);
  for (const [name, { build }] of Object.entries(compose.services)) {
    if (build && !stages.includes(build.target))
      problems.push(`${name} builds the stage ${build.target}, which the Dockerfile does not have`);
  }
  const copies = [...files.dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
  const sources = copies.flatMap(([, list]) => list?.split(' ') ?? []);
  const ignored = files.dockerignore.split('\n').filter((line) => line && !line.startsWith('**/'));
  for (const source of sources) {
    if (!files.exists(source)) problems.push(`the Dockerfile copies ${source}, which does not exist`);
    if (ignored.some((path) => source === path || source.startsWith(`${path}/`)))
      problems.push(`the Dockerfile copies ${source}, which .dockerignore leaves out`);
  }
  for (const workspace of files.workspaces) {
    if (!sources.includes(`${workspace}/package.json`))
      problems.push(`the Dockerfile does not copy ${workspace}/package.json before npm ci`);
  }
  for (const [, path] of files.dockerfile.matchAll(/^COPY --from=\w+ \/app\/(\S+) \S+$/gm)) {
    if (path && path !== 'node_modules' && !files.exists(path))
      problems.push(`the Dockerfile copies ${path} between stages, which does not exist`);
  }
  if (!/^USER (?!root)\S+$/m.test(files.dockerfile)) problems.push('the image runs as root');
  return problems;
}

function namesOfRequired(variables: Variables): string[] {
  return describeVariables(variables).flatMap((variable) =>
    variable.requiredInProduction ? [variable.name] : [],
  );
}

/** The files of the repository at `root`. */
export function readComposeFiles(root: string): ComposeFiles {
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] };
  return {
    compose: read('docker-compose.yml'),
    dockerfile: read('Dockerfile'),
    dockerignore: read('.dockerignore'),
    envExample: read('.env.example'),
    workspaces: globSync(
      workspaces.map((pattern) => `${pattern}/package.json`),
      { cwd: root },
    ).map((path) => path.slice(0, -'/package.json'.length)),
    required: Object.fromEntries(
      Object.entries(VARIABLES).map(([name, variables]) => [name, namesOfRequired(variables)]),
    ),
    exists: (path) => existsSync(join(root, path)),
  };
}

if (import.meta.main) {
  const problems = findComposeProblems(readComposeFiles(resolve(import.meta.dirname, '..')));
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0) process.exit(1);
  process.stdout.write('docker-compose.yml and the Dockerfile are sound\n');
}
