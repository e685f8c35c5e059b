import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ComposeFiles, findComposeProblems, readComposeFiles } from './check-compose.ts';

const files = readComposeFiles(resolve(import.meta.dirname, '..'));

function broken(change: Partial<ComposeFiles>): string {
  return findComposeProblems({ ...files, ...change }).join('\n');
}

describe('the check of docker-compose.yml', () => {
  it('finds nothing wrong with the committed files', () => {
    expect(findComposeProblems(files)).toEqual([]);
  });

  it.each([
    [
      'a key that Compose does not know',
      /^ {4}restart: unless-stopped$/m,
      '    restrt: unless-stopped',
      'restrt',
    ],
    ['a port published beyond loopback', '"127.0.0.1:4003:4003"', '"4003:4003"', 'ports'],
    [
      'a port that the process does not listen on',
      'TASK_PORT: "4003"',
      'TASK_PORT: "4013"',
      'TASK_PORT is not 4003',
    ],
    [
      'a process bound to the loopback of its container',
      'ORG_HOST: 0.0.0.0',
      'ORG_HOST: 127.0.0.1',
      'ORG_HOST',
    ],
    ['a variable nobody explains', 'LOG_LEVEL: ${LOG_LEVEL', 'LOG_LVL: ${LOG_LVL', 'LOG_LVL'],
    [
      'an entry file that is not there',
      'subgraphs/org/src/main.ts',
      'subgraphs/org/main.ts',
      'does not exist',
    ],
    ['a stage that the Dockerfile lacks', 'target: app', 'target: runtime', 'stage runtime'],
    ['a volume that is not declared', '"postgres:/var', '"data:/var', 'mounts data'],
    [
      'a healthcheck of another process',
      '127.0.0.1:4004/health',
      '127.0.0.1:4003/health',
      'healthcheck of notification',
    ],
    [
      'a secret that production would miss',
      /ORG_CURSOR_KEY: \S+/,
      'ORG_ALLOW_UNSIGNED: "false"',
      'ORG_CURSOR_KEY',
    ],
    [
      'a service outside the profile that needs one inside',
      'profiles: [app]',
      'profiles: [all]',
      'profile app has',
    ],
    ['text that is not YAML', 'services:', 'services: [', 'not YAML'],
  ])('refuses %s', (_, from, to, expected) => {
    const compose = files.compose.replace(from, to);
    expect(compose).not.toBe(files.compose);
    expect(broken({ compose })).toContain(expected);
  });

  it('refuses a manifest that npm ci in the image would miss', () => {
    const dockerfile = files.dockerfile.replace('COPY kit/package.json kit/\n', '');
    expect(broken({ dockerfile })).toContain('kit/package.json before npm ci');
  });

  it('refuses a source that .dockerignore leaves out', () => {
    expect(broken({ dockerignore: `${files.dockerignore}\nrouter` })).toContain(
      'router/package.json, which .dockerignore',
    );
  });

  it('refuses an image that runs as root', () => {
    expect(broken({ dockerfile: files.dockerfile.replace(/^USER .*$/m, '') })).toContain('runs as root');
  });
});
