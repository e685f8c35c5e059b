// Messages of graphql-js for callers who may not read the schema: they name what the caller wrote, and nothing that the
// schema has besides. Suggestions, names of what is missing, and types are left out.

/** Each with the sentence that is said instead; `$1` is a name that the caller wrote. */
const TELLING: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/ ?Did you mean .*\?$/s, ''],
  [/Expected (?:value of )?(?:non-nullable )?type "[^"]*"/g, 'Expected another type'],
  [/Field "[^"]*" of required type "[^"]*" was not provided\./g, 'A required field was not provided.'],
  [
    /(Field|Directive) ("@?[^"]*") argument "[^"]*" of type "[^"]*" is required, but it was not provided\./g,
    '$1 $2 is missing a required argument.',
  ],
  [/^(Field "[^"]*") of type "[^"]*" must have a selection/, '$1 must have a selection'],
  [/^(Field "[^"]*" must not have a selection) since type "[^"]*" has no subfields\./, '$1.'],
  [/ since type "[^"]*" has no subfields/, ''],
  [/ does not exist in "[^"]*" enum/, ' does not exist in the enum'],
  [/ on type "[^"]*"/g, ''],
  [/ is not defined by type "[^"]*"/, ' is not defined'],
  [/(Unknown argument "[^"]*" on field) "[^".]*\.([^"]*)"/, '$1 "$2"'],
  [/ used in position expecting type "[^"]*"/, ' does not fit where it is used'],
  [/ of (?:non-null |required )?type "[^"]*"/g, ''],
];

/** The message without what only the schema could tell. */
export function withoutSchema(message: string): string {
  return TELLING.reduce((told, [pattern, instead]) => told.replace(pattern, instead), message);
}
