/** The archive that a person gets of their data: a ZIP with one JSON file for each source, and a text that explains them. */
import { promisify } from 'node:util';
import { type AsyncZipOptions, type AsyncZippable, strToU8, zip } from 'fflate';

export interface DataArchive {
  readonly name: string;
  readonly createdAt: Date;
  /** The JSON text of each source. */
  readonly contents: ReadonlyMap<string, string>;
}

/** What stands in each file, by source; the order is that of the text. */
const EXPLANATIONS: Readonly<Record<string, readonly string[]>> = {
  user: [
    'account: your address and since when it is verified. One account serves all your organisations.',
    'identities: the providers you sign in with.',
    'member: your name, role and status in this organisation.',
    'sessions: where you were signed in, with network address and browser.',
    'invitesMade, invitesAccepted: whom you invited, and the invite you came by.',
    'apiKeys: the keys you made, without their secrets.',
    'mailedTokens: mails with which you proved or changed your address or password, without their tokens.',
    'dataExports: when you asked for your data.',
  ],
  org: [
    'member: what the service of teams and projects knows of you.',
    'teamStays: the teams you are and were in.',
    'peopleAddedToTeams, teamsAssignedToProjects: what you did with teams and projects.',
  ],
  task: [
    'member, teamStays: what the service of tasks knows of you.',
    'tasksCreated, tasksAssigned: the tasks you made, and those of others that you have; deleted ones included (deletedAt).',
  ],
  notification: [
    'notifications, notificationCounts: your inbox.',
    'mails: mails to your present address. Their contents are forgotten once they are sent.',
  ],
};

const promised = promisify<AsyncZippable, AsyncZipOptions, Uint8Array>(zip);

/** In a thread of its own where it is large; quickly rather than tightly, since a transaction waits for it. */
export function archiveOf({ name, createdAt, contents }: DataArchive): Promise<Uint8Array> {
  return promised(
    {
      'README.txt': strToU8(explain(name, createdAt)),
      ...Object.fromEntries([...contents].map(([source, text]) => [`${source}.json`, strToU8(text)])),
    },
    { level: 3 },
  );
}

const explain = (name: string, createdAt: Date): string =>
  [
    `Your TaskFlow data, ${name}`,
    `as of ${createdAt.toISOString()}, of the organisation in which you asked for it`,
    '',
    'Each file is JSON: an object with lists of what one of our services holds about you. A list ends after 5,000',
    'entries or 4 million characters; ask us for more. In every file, auditLog lists what you did, newest first.',
    ...Object.entries(EXPLANATIONS).flatMap(([source, lines]) => [
      ...['', `${source}.json`],
      ...lines.map((line) => `  ${line}`),
    ]),
    '',
  ].join('\r\n');
