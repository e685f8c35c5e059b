/**
 * Prisma's schema engine, from npm, without the binary that `prisma migrate` downloads: the same engine as WebAssembly
 * over the pg driver adapter. Two things of the adapter are put right for it:
 *
 *   - a script goes to the server whole, as the downloaded engine sends it: one implicit transaction, all or nothing.
 *     The adapter would cut it at every semicolon, those inside functions included;
 *   - the catalogue's type "char", which the adapter does not know, so that the engine can read a live database.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlDriverAdapter,
  type SqlMigrationAwareDriverAdapterFactory,
} from '@prisma/driver-adapter-utils';
import type { SchemaEngine } from '@prisma/schema-engine-wasm';
import pg from 'pg';

/** Tables and enums the engine leaves alone: none. */
export const everything = { externalTables: [], externalEnums: [] };

/**
 * Runs `work` with an engine on that database. `schema` is the text of schema.prisma. `explain` tells what the server said of
 * the last script that failed: the engine's own errors keep little of it.
 */
export async function withSchemaEngine<T>(
  url: string,
  schema: string,
  work: (engine: SchemaEngine, explain: () => string | null) => Promise<T>,
): Promise<T> {
  const { SchemaEngine: Engine } = await loadEngine();
  // One connection: the engine's session lock and its statements belong together.
  const pool = new CataloguePool({ connectionString: url, max: 1, connectionTimeoutMillis: 10_000 });
  pool.on('error', () => {}); // the next statement reports it
  let complaint: string | null = null;
  const complain = (text: string) => {
    complaint = text;
  };
  try {
    const engine = await Engine.new(
      { datamodels: [['schema.prisma', schema]] },
      () => {},
      bindMigrationAwareSqlAdapterFactory(scriptsWhole(pool, complain)),
    );
    return await work(engine, () => complaint);
  } finally {
    await pool.end();
  }
}

type Bindings = typeof import('@prisma/schema-engine-wasm') & { __wbg_set_wasm(exports: unknown): void };

/** Node has it; TypeScript describes it with the browser only. */
declare const WebAssembly: {
  instantiate(
    binary: Uint8Array,
    imports: object,
  ): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

/** Loaded when first needed. */
let loading: Promise<Bindings> | undefined;

function loadEngine() {
  loading ??= (async () => {
    // The main entry is for bundlers; this is what it wraps.
    const bindings = (await import('@prisma/schema-engine-wasm/schema_engine_bg')) as unknown as Bindings;
    const main = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm');
    const binary = readFileSync(main.replace(/\.js$/, '_bg.wasm'));
    const { instance } = await WebAssembly.instantiate(binary, {
      './schema_engine_bg.js': withoutLingering(bindings),
    });
    bindings.__wbg_set_wasm(instance.exports);
    (instance.exports.__wbindgen_start as () => void)();
    // The engine tells its last words here before it ends with a meaningless "unreachable".
    const panics = { set_message: (text: string) => process.stderr.write(`schema engine: ${text}\n`) };
    Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: panics });
    return bindings;
  })();
  return loading;
}

/** The engine never clears the 10 s timer of its lock, which would keep a finished command waiting for it. */
function withoutLingering(bindings: object): object {
  const imports: Record<string, unknown> = { ...bindings };
  for (const name of Object.keys(imports).filter((name) => name.startsWith('__wbg_setTimeout_'))) {
    imports[name] = (run: () => void, ms: number) => setTimeout(run, ms).unref();
  }
  return imports;
}

/** pg_type.dat: "char" is 18; an array of it, 1002, is known to the adapter and in no query of the engine. */
const CHAR = 18;
const CHAR_ARRAY = 1002;

class CataloguePool extends pg.Pool {
  // biome-ignore lint/suspicious/noExplicitAny: pg's overloads; the adapter uses the promise form only.
  override async query(...args: any[]): Promise<any> {
    const result = await (super.query as (...args: unknown[]) => Promise<pg.QueryResult>)(...args);
    for (const field of result.fields ?? []) if (field.dataTypeID === CHAR) field.dataTypeID = CHAR_ARRAY;
    return result;
  }
}

function scriptsWhole(
  pool: pg.Pool,
  complain: (text: string) => void,
): SqlMigrationAwareDriverAdapterFactory {
  const factory = new PrismaPg(pool);
  const adapt = async (): Promise<SqlDriverAdapter> => {
    const adapter = await factory.connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      const result = await queryRaw(query);
      const columnTypes = result.columnTypes.map((type) =>
        type === ColumnTypeEnum.CharacterArray ? ColumnTypeEnum.Character : type,
      );
      return { ...result, columnTypes };
    };
    adapter.executeScript = async (script) => {
      await pool.query(script).catch((error: pg.DatabaseError) => {
        complain(positioned(error, script));
        throw new DriverAdapterError({
          kind: 'postgres',
          code: error.code ?? 'N/A',
          severity: error.severity ?? 'N/A',
          message: error.message,
          detail: error.detail,
          column: error.column,
          hint: error.hint,
        });
      });
    };
    return adapter;
  };
  return {
    provider: factory.provider,
    adapterName: factory.adapterName,
    connect: adapt,
    connectToShadowDb: () => Promise.reject(new Error('no shadow database is ever made')),
  };
}

/** PostgreSQL counts characters; whoever reads the message counts lines. */
function positioned(error: pg.DatabaseError, script: string): string {
  if (!error.position) return error.message;
  return `${error.message} (line ${script.slice(0, Number(error.position)).split('\n').length})`;
}
