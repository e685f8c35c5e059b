// The keys of each type in an order in which the planner picks the right one.
//
// To come back to a subgraph with what a @requires needs, the planner (2.14) takes the first key of the type there, also
// one that the file calls not resolvable: the subgraph is then asked by a key that it does not answer to. It takes the first
// in the file's order, so those that are resolvable are put first. Nothing else reads the order.

import { type ConstDirectiveNode, Kind, parse, print, visit } from 'graphql';

/** The SDL with the resolvable keys of each type before the others; as it is where all are resolvable. */
export function resolvableKeysFirst(sdl: string): string {
  if (!/\bresolvable\s*:\s*false\b/.test(sdl)) return sdl;
  const inOrder = (directives: readonly ConstDirectiveNode[] = []) => [
    ...directives.filter((directive) => !isUnresolvable(directive)),
    ...directives.filter(isUnresolvable),
  ];
  const reorder = <T extends { directives?: readonly ConstDirectiveNode[] }>(node: T): T => ({
    ...node,
    directives: inOrder(node.directives),
  });
  return print(
    visit(parse(sdl, { noLocation: true }), {
      ObjectTypeDefinition: reorder,
      InterfaceTypeDefinition: reorder,
    }),
  );
}

function isUnresolvable({ name, arguments: given = [] }: ConstDirectiveNode): boolean {
  return (
    name.value === 'join__type' &&
    given.some(
      (one) => one.name.value === 'resolvable' && one.value.kind === Kind.BOOLEAN && !one.value.value,
    )
  );
}
