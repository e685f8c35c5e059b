-- Mails: asked for by a fact, sent by a job of this service.

-- ── mails: QUEUED until SMTP has taken it (SENT) or it was given up (FAILED) ───────────────────────────────
-- The token is sealed by whoever asked. Once a mail is settled, token and values are gone; recipient, template and what
-- happened stay for the operator until retention.
create table mails (
  org_id uuid not null,
  id uuid not null,
  fact_id uuid not null,
  recipient text not null,
  template text not null,
  locale text,
  template_values jsonb not null default '{}',
  sealed text,
  state text not null default 'QUEUED',
  attempts integer not null default 0,
  -- Whoever takes a mail moves this beyond the end of any attempt: the lease. A crash is an attempt that failed.
  next_attempt_at timestamptz not null default now(),
  last_error text,
  created_at timestamptz not null default now(),
  sent_at timestamptz,
  primary key (org_id, id),
  -- A fact delivered twice makes one mail.
  constraint mails_fact_key unique (org_id, fact_id),
  constraint mails_template_form check (template ~ '^[A-Z][A-Z0-9_]{0,63}$'),
  constraint mails_state check (state in ('QUEUED', 'SENT', 'FAILED')),
  constraint mails_attempts_count check (attempts >= 0),
  constraint mails_sent_has_time check ((state = 'SENT') = (sent_at is not null)),
  constraint mails_settled_has_no_secret check (state = 'QUEUED' or (sealed is null and template_values = '{}'))
);
comment on column mails.id is 'the aggregate of the fact: given by user';
comment on column mails.fact_id is 'the fact that asked for it; its source is user';
comment on column mails.last_error is 'in our own words: what a server says may name a person';
-- Serves the sender; holds the queue alone.
create index mails_due_idx on mails (next_attempt_at) where state = 'QUEUED';
-- Serves retention.
create index mails_created_at_idx on mails (created_at);

alter table mails enable row level security;
alter table mails force row level security;
create policy mails_tenant on mails to taskflow_notification_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy mails_owner on mails to taskflow_notification_owner using (true) with check (true);
-- Serving only queues: no request reads a mail.
grant insert on mails to taskflow_notification_app;

-- ── named jobs that cross the border of a tenant, with exactly what each needs ─────────────────────────────
-- mail-sending: takes what is due, and says what became of it. mail-retention: deletes what was settled long ago.
create policy mails_system on mails to taskflow_notification_system using (true) with check (true);
grant select, delete on mails to taskflow_notification_system;
grant update (state, attempts, next_attempt_at, last_error, sent_at, sealed, template_values) on mails to taskflow_notification_system;
