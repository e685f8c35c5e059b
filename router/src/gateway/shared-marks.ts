// Fields whose value is the same for many viewers, as the supergraph's file says it (kit/shared.ts): `@shared`, by the URL of
// its `@link`, whatever name the file gives it. A file without the link shares nothing.

import { marksIn, type SharedMarks } from '@taskflow/kit/shared';
import { type ConstDirectiveNode, type DocumentNode, Kind, parse } from 'graphql';

const SPEC = 'https://taskflow.example/shared/v1.';

export function readSharedMarks(sdl: string): SharedMarks {
  if (!sdl.includes(SPEC)) return new Map();
  const document = parse(sdl, { noLocation: true });
  const name = directiveName(document);
  return name === null ? new Map() : marksIn(document, name);
}

function directiveName(document: DocumentNode): string | null {
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.SCHEMA_DEFINITION && definition.kind !== Kind.SCHEMA_EXTENSION) continue;
    const link = definition.directives?.find(
      (directive) => directive.name.value === 'link' && textOf(directive, 'url')?.startsWith(SPEC),
    );
    if (link) return importedAs(link) ?? `${textOf(link, 'as') ?? 'shared'}__shared`;
  }
  return null;
}

/** `import: ["@shared"]`, or `import: [{ name: "@shared", as: "@alike" }]`; null when it is not imported. */
function importedAs(link: ConstDirectiveNode): string | null {
  const imports = link.arguments?.find(({ name }) => name.value === 'import')?.value;
  for (const item of imports?.kind === Kind.LIST ? imports.values : []) {
    if (item.kind === Kind.STRING && item.value === '@shared') return 'shared';
    if (item.kind !== Kind.OBJECT) continue;
    const field = (name: string) => {
      const value = item.fields.find((candidate) => candidate.name.value === name)?.value;
      return value?.kind === Kind.STRING ? value.value : null;
    };
    if (field('name') === '@shared') return (field('as') ?? '@shared').slice(1);
  }
  return null;
}

function textOf(directive: ConstDirectiveNode, name: string): string | null {
  const value = directive.arguments?.find((argument) => argument.name.value === name)?.value;
  return value?.kind === Kind.STRING ? value.value : null;
}
