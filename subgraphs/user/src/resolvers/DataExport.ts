import { callOf } from '@taskflow/kit/call';
import type { DataExportResolvers } from '../generated/graphql.ts';

export const DataExport: DataExportResolvers = {
  // No loader: each reading is a line of the audit log, and there are twenty at most.
  archive: ({ id, state }, _, context, info) =>
    state === 'READY' ? context.dataExports.archive(callOf(context, info), id) : null,
};
