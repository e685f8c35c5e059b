import type { BuildContext, RequestContext } from '@taskflow/kit/service';
import { createLoaders, type Loaders, type UseCases } from './loaders.ts';

/** What a resolver sees: who asks, the use cases, and loaders that live for one request. */
export interface Context extends RequestContext, UseCases {
  loaders: Loaders;
}

export const createContextFactory =
  (useCases: UseCases): BuildContext =>
  ({ viewer }) => ({ ...useCases, loaders: createLoaders(useCases, viewer) });
