/**
 * A person's data, gathered from all subgraphs into one archive. Each step is one transaction, so that a crash between two of
 * them delays the archive and loses nothing.
 *
 *   userDataExport ─▶ GATHERING, data-export.requested ─▶ org · task · notification
 *   <source>-data.gathered ─▶ a part ─▶ are all there? ─▶ READY: archive, mail ── seven days ──▶ deleted
 *
 * A part that comes twice is one part. Parts that come at once wait for each other at the row of the export, so that one of
 * them is the last. Only the person reads the archive; each reading is a line of the audit log.
 */
import { createHash } from 'node:crypto';
import { auditOriginOf } from '@taskflow/kit/audit';
import { type Call, type Changed, changeOnce } from '@taskflow/kit/call';
import type { Viewer } from '@taskflow/kit/identity';
import { syncIdOf } from '@taskflow/kit/outbox';
import { textOf } from '@taskflow/kit/personal-data';
import { type FactOf, facts, makeFact } from '@taskflow/schema/events';
import { v7 as uuidv7 } from 'uuid';
import type { DataExportRow } from '../data/data-exports.ts';
import type { MemberRow } from '../data/members.ts';
import type { UserStore, UserTx } from '../data/store.ts';
import { archiveOf } from './data-archive.ts';
import type { Mails } from './mails.ts';
import { forbidden, tooManyExports } from './refusals.ts';

export type Gathered = FactOf<'org-data.gathered' | 'task-data.gathered' | 'notification-data.gathered'>;

/** Gathering reads whole lists in four databases. */
const WINDOW_MS = 3_600_000;
/** Longer than any outage that facts survive; then another one may be asked for. */
const GATHERING_TTL_MS = 3 * 86_400_000;
/** The SDL promises it. */
const ARCHIVE_TTL_MS = 7 * 86_400_000;

const SOURCES: readonly string[] = facts['data-export.requested'].consumers;

export type DataExports = ReturnType<typeof createDataExports>;

export function createDataExports(store: UserStore, { mails }: { mails: Mails }) {
  return {
    async request(call: Call, input: { clientMutationId?: string | null }): Promise<Changed<DataExportRow>> {
      const { viewer, requestId } = call;
      if (viewer.scopes) throw forbidden('Only a person asks for their data.');
      return changeOnce(
        ...([call, input, store.transaction] as const),
        async (tx) => {
          // Locked, so that of two who ask at once one comes second.
          const member = await tx.members.lock(viewer.userId);
          if (member?.status !== 'ACTIVE') throw forbidden('Only a member asks for their data.');
          if (await tx.dataExports.isAnother(member.id, WINDOW_MS)) throw tooManyExports();
          const row = await tx.dataExports.insert(uuidv7(), member.id, GATHERING_TTL_MS);
          await tx.audit(auditOriginOf(call), {
            ...{ action: 'data-export.requested', target: { type: 'data-export', id: row.id } },
          });
          const fact = makeFact({
            type: 'data-export.requested',
            ...{ orgId: viewer.orgId, actor: { userId: member.id }, requestId, before: null },
            aggregate: { id: row.id, version: 1 },
            after: { userId: member.id, emailHash: hashOf(member.email) },
          });
          await tx.appendFacts(fact);
          return { row, syncId: syncIdOf(fact) };
        },
        (id) => store.dataExports.find(viewer, id),
      );
    },

    /** Keeps a part, and makes the archive when it was the last one. Safe to call twice. */
    async collect(tx: UserTx, { source, requestId, after }: Gathered): Promise<void> {
      const { exportId, userId, index, count, content } = after;
      const member = await tx.members.hold(userId);
      if (!member || member.status === 'REMOVED') return;
      if (!(await tx.dataExports.lockGathering(exportId, userId))) return;
      await tx.dataExports.keepPart(exportId, { source, index, count, content });
      const whole = await tx.dataExports.wholeSources(exportId);
      if (SOURCES.every((name) => whole.includes(name))) await deliver(tx, exportId, member, requestId);
    },

    list: (viewer: Viewer): Promise<DataExportRow[]> => store.dataExports.listOf(viewer, viewer.userId),

    /** As base64; null for one that is not the viewer's, not ready, or expired. */
    archive: (call: Call, id: string): Promise<string | null> =>
      store.transaction(call.viewer, async (tx) => {
        const archive = await tx.dataExports.findArchive(id, call.viewer.userId);
        if (!archive) return null;
        await tx.audit(auditOriginOf(call), {
          ...{ action: 'data-export.downloaded', target: { type: 'data-export', id } },
        });
        return Buffer.from(archive).toString('base64');
      }),
  };

  async function deliver(tx: UserTx, id: string, member: MemberRow, requestId: string): Promise<void> {
    const { orgId } = tx;
    const own = {
      ...(await store.accountData.gather(orgId, member.id)),
      ...(await tx.personalData.gather(member.id)),
    };
    const gathered = await tx.dataExports.takeContents(id);
    const archive = await archiveOf({
      ...{ name: member.name, createdAt: new Date() },
      contents: new Map([['user', textOf(own)], ...gathered]),
    });
    const { expiresAt, sizeBytes } = await tx.dataExports.complete(id, archive, ARCHIVE_TTL_MS);
    await tx.audit(
      { actorId: null, requestId, address: null, userAgent: null },
      { action: 'data-export.completed', target: { type: 'data-export', id }, after: { sizeBytes } },
    );
    await tx.appendFacts(
      mails.requested({
        ...{ orgId, to: member.email, template: 'DATA_EXPORT_READY', actorId: member.id, requestId },
        values: { name: member.name, expiresAt: expiresAt.toISOString() },
      }),
    );
  }
}

/** By which notification finds mails to the person: see `dataExport` in schema/events/images.ts. */
const hashOf = (email: string): string => createHash('sha256').update(email).digest('hex');
