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
  if session_user = 'taskflow_notification_app' and org is distinct from pg_catalog.current_setting('app.org_id')::uuid then
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
grant execute on function forget_person(uuid, uuid, text, text) to taskflow_notification_app, taskflow_notification_system;

-- An inbox goes with its person; mails by the address that they were sent to.
grant delete on notifications, notification_counts to taskflow_notification_app;
create function forget_mails(org uuid, address text) returns void
  language plpgsql security definer set search_path = '' as $$
begin
  if session_user = 'taskflow_notification_app' and org is distinct from pg_catalog.current_setting('app.org_id')::uuid then
    raise exception 'another organisation' using errcode = '42501';
  end if;
  delete from public.mails m where m.org_id = org and m.recipient = address;
end $$;
revoke execute on function forget_mails(uuid, text) from public;
grant execute on function forget_mails(uuid, text) to taskflow_notification_app;
