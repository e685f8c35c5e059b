-- Erasures: who was erased, and how far it has come. The row outlives the person and says nothing about them.
create table erasures (
  org_id uuid not null,
  user_id uuid not null,
  requested_at timestamptz(3) not null default now(),
  -- Address and name, sealed for this row alone; gone when all is done.
  sealed text,
  -- 1: the services erase. 2: again, after the last fact that was under way when the first round began.
  round integer not null default 1,
  done text[] not null default '{}',
  completed_at timestamptz(3),
  primary key (org_id, user_id),
  constraint erasures_member_fkey foreign key (org_id, user_id) references members (org_id, id),
  constraint erasures_round_values check (round in (1, 2)),
  constraint erasures_completed_is_blank check (completed_at is null or sealed is null)
);
create index erasures_open_idx on erasures (requested_at) where completed_at is null;
alter table erasures enable row level security;
alter table erasures force row level security;
create policy erasures_tenant on erasures to taskflow_user_app
  using (org_id = (select current_setting('app.org_id')::uuid))
  with check (org_id = (select current_setting('app.org_id')::uuid));
create policy erasures_owner on erasures to taskflow_user_owner using (true) with check (true);
grant select, update on erasures to taskflow_user_app;

-- ── job member-erasure: a person in one organisation, and their account when it has no other ────────────────
create policy erasures_system on erasures to taskflow_user_system using (true) with check (true);
grant select, insert, update on erasures to taskflow_user_system;
create policy api_keys_system on api_keys to taskflow_user_system using (true) with check (true);
grant select, delete on api_keys to taskflow_user_system;
grant delete on invites to taskflow_user_system;

-- Forgetting a person: what is written down about them and cannot simply be deleted. Called within the transaction that
-- erases them, by the serving role for its own organisation and by named jobs. Rewrites the facts in which they stand, so
-- that these stay valid: a re-append after Redis lost its data sends the rewritten ones.
--
--   address, name   as they stand in the facts; null where this service never had them
create function forget_person(org uuid, person uuid, address text, name text) returns void
  language plpgsql security definer set search_path = '' as $$
declare
  anonymous_address text := 'erased-' || person || '@erased.invalid';
begin
  -- The owner passes the walls: whoever serves requests is held to its own organisation here.
  if session_user = 'taskflow_user_app' and org is distinct from pg_catalog.current_setting('app.org_id')::uuid then
    raise exception 'another organisation' using errcode = '42501';
  end if;
  update public.outbox o
    set envelope = public.without_person(o.envelope, person, address, name, anonymous_address)
    where o.org_id = org and (o.aggregate_id = person or o.envelope #>> '{actor,userId}' = person::text
      or o.envelope #>> '{after,userId}' = person::text
      or (address is not null and pg_catalog.strpos(o.envelope::text, pg_catalog.to_json(address)::text) > 0));
  update public.dead_letters d
    set envelope = public.without_person(d.envelope, person, address, name, anonymous_address)
    where d.org_id = org and (d.aggregate_id = person or d.envelope #>> '{actor,userId}' = person::text
      or d.envelope #>> '{after,userId}' = person::text
      or (address is not null and pg_catalog.strpos(d.envelope::text, pg_catalog.to_json(address)::text) > 0));
  -- The entries stay, with the digest of what is gone: the chain can be verified without it.
  delete from public.audit_details d using public.audit_entries e
    where d.org_id = org and e.org_id = org and e.id = d.entry_id
      and (e.actor_id = person or e.target_id = person
        or (address is not null and pg_catalog.strpos(d.details, pg_catalog.to_json(address)::text) > 0));
  delete from public.idempotency_keys k where k.org_id = org and k.user_id = person;
end $$;

-- One fact without its person: names and addresses replaced, gathered data emptied. The same fact otherwise.
create function without_person(envelope jsonb, person uuid, address text, name text, anonymous_address text)
  returns jsonb language plpgsql immutable set search_path = '' as $$
declare
  side text;
  written text;
begin
  if envelope ->> 'type' like '%-data.gathered' then
    return pg_catalog.jsonb_set(envelope, '{after,content}', '"[]"');
  end if;
  -- What was told to the other services of whom to forget, once all have.
  if envelope ->> 'type' = 'member.erased' then
    return pg_catalog.jsonb_set(envelope, '{after,sealed}', 'null');
  end if;
  foreach side in array array['before', 'after'] loop
    if envelope #>> array[side, 'id'] = person::text and envelope #> array[side, 'email'] is not null then
      envelope := pg_catalog.jsonb_set(envelope, array[side, 'name'], '"Deleted person"');
      envelope := pg_catalog.jsonb_set(envelope, array[side, 'email'], pg_catalog.to_jsonb(anonymous_address));
    end if;
  end loop;
  written := envelope::text;
  if address is not null then
    written := pg_catalog.replace(written, pg_catalog.to_json(address)::text, pg_catalog.to_json(anonymous_address)::text);
  end if;
  if name is not null then
    written := pg_catalog.replace(written, pg_catalog.to_json(name)::text, '"Deleted person"');
  end if;
  return written::jsonb;
end $$;

revoke execute on function forget_person(uuid, uuid, text, text) from public;
revoke execute on function without_person(jsonb, uuid, text, text, text) from public;
grant execute on function forget_person(uuid, uuid, text, text) to taskflow_user_app, taskflow_user_system;
