/** Facts: what services tell each other through the streams. `list.ts` is the list, `images.ts` what each one shows. */
export type { Envelope, Source } from './envelope.ts';
export { sources } from './envelope.ts';
export type { AnyFact, ConsumedBy, FactOf, NewFact } from './fact.ts';
export { FactError, isFactType, makeFact, parseFact } from './fact.ts';
export type * from './images.ts';
export { bindingOfErasure, bindingOfMail } from './images.ts';
export type { FactType } from './list.ts';
export { facts, routesOf } from './list.ts';
