/** The supergraphs of the comparison: composed, with the addresses of this run, in front of subgraphs that have started. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { composeServices } from '@apollo/composition';
import type { Stops } from '@taskflow/dev/stops';
import { composedFiles } from '@taskflow/schema/compose';
import { subgraphs } from '@taskflow/schema/sdl';
import { parse } from 'graphql';
import { startChild } from '../children.ts';
import type { World } from './gateways.ts';
import type { WorldName } from './operations.ts';
import { shopSdl, shopSubgraphs } from './shop.ts';

export async function startWorld(
  name: WorldName,
  { dir, jwks, stops }: { dir: string; jwks: string; stops: Stops },
): Promise<{ world: World; pid: number }> {
  const { pid, ready } = await startChild({
    name: `subgraphs of ${name}`,
    args: ['bench/router/subgraphs.ts', name, jwks],
    ready: /^\{.*\}$/m,
    stops,
  });
  const urls: Record<string, string> = JSON.parse(ready);
  const file = join(dir, `${name}.graphql`);
  await writeFile(file, name === 'shop' ? shopAt(urls) : await taskflowAt(urls));
  return { pid, world: { name, file, urls } };
}

/** The committed supergraph with the addresses of this run. */
async function taskflowAt(urls: Record<string, string>): Promise<string> {
  let sdl = await readFile(composedFiles.supergraph, 'utf8');
  for (const { name, url } of subgraphs) {
    const moved = sdl.replace(`url: "${url}"`, `url: "${urls[name]}"`);
    if (moved === sdl) throw new Error(`the supergraph does not name ${url} as the address of ${name}`);
    sdl = moved;
  }
  return sdl;
}

function shopAt(urls: Record<string, string>): string {
  const services = shopSubgraphs.map((name) => ({
    name,
    url: urls[name] ?? '',
    typeDefs: parse(shopSdl[name]),
  }));
  const { supergraphSdl, errors } = composeServices(services);
  if (!supergraphSdl) throw new Error(`the shop does not compose: ${errors?.join(', ')}`);
  return supergraphSdl;
}
