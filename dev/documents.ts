/**
 * Collects the operations of client code into a manifest of trusted documents, for the router's
 * ROUTER_TRUSTED_DOCUMENTS_FILE and for the client that sends their ids.
 *
 *   npm run documents -- --out documents.json 'src/**\/*.{ts,tsx,graphql}'
 *
 * The collecting, checking against the schema, and hashing is codegen's client preset; the manifest is Apollo's.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { generate } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';
import { Kind, parse } from 'graphql';

const HELP = `Usage: npm run documents -- --out FILE [options] GLOB...

Writes the operations of .ts, .tsx and .graphql files, with their fragments, as a manifest of trusted documents.

  --out FILE       the manifest to write
  --schema FILE    the schema that clients see (default: schema/api.graphql)
  --plain          { "<id>": "<document>" } in place of Apollo's format
  --typename       add __typename to every selection, as Apollo Client and urql do before they send
  --help           this text

Tagged templates and calls named gql or graphql are read. An operation that is not valid for the schema ends the command.
`;

export interface DocumentsOptions {
  globs: readonly string[];
  schema: string;
  addsTypename?: boolean;
}

export interface RegisteredOperation {
  /** SHA-256 of the body, in hexadecimal. */
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly body: string;
}

/** Rejects when a document is not valid for the schema, or two have the same name. */
export async function collectOperations(options: DocumentsOptions): Promise<RegisteredOperation[]> {
  const files = (await generate(
    {
      ...{ schema: options.schema, documents: [...options.globs], silent: true, errorsOnly: true },
      generates: {
        'documents/': {
          preset: 'client',
          presetConfig: { persistedDocuments: { hashAlgorithm: 'sha256' } },
          documentTransforms: options.addsTypename ? [addTypenameSelectionDocumentTransform] : [],
        },
      },
    },
    false,
  )) as { filename: string; content: string }[];
  const found = files.find(({ filename }) => filename.endsWith('persisted-documents.json'));
  const byId = JSON.parse(found?.content ?? '{}') as Record<string, string>;
  return Object.entries(byId)
    .map(([id, body]) => ({ id: id.replace(/^sha256:/, ''), ...operationOf(body), body }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function operationOf(body: string): { name: string; type: string } {
  for (const definition of parse(body, { noLocation: true }).definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) {
      return { name: definition.name?.value ?? '', type: definition.operation };
    }
  }
  throw new Error(`There is no operation in ${body}`);
}

/** What the router reads. */
export function manifestOf(operations: readonly RegisteredOperation[], isPlain: boolean): object {
  if (isPlain) return Object.fromEntries(operations.map(({ id, body }) => [id, body]));
  return { format: 'apollo-persisted-query-manifest', version: 1, operations };
}

async function main(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      schema: { type: 'string', default: 'schema/api.graphql' },
      plain: { type: 'boolean', default: false },
      typename: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || !values.out || positionals.length === 0) {
    (values.help ? process.stdout : process.stderr).write(HELP);
    return values.help ? 0 : 1;
  }
  try {
    const { schema, typename: addsTypename } = values;
    const operations = await collectOperations({ globs: positionals, schema, addsTypename });
    await mkdir(dirname(values.out), { recursive: true });
    await writeFile(values.out, `${JSON.stringify(manifestOf(operations, values.plain), null, 2)}\n`);
    process.stdout.write(`Wrote ${operations.length} operations to ${values.out}.\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
