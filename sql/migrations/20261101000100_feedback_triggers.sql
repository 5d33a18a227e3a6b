-- What the database itself keeps true: the update time, the pair of every edit, honest reviews, tombstones.
-- The functions live outside the schemas that an HTTP API exposes.
create schema if not exists private;
revoke all on schema private from public;

create or replace function private.touch_updated_at() returns trigger language plpgsql set search_path = '' as $$
begin
  new.updated_at := pg_catalog.clock_timestamp();
  return new;
end $$;

-- The pair of an edit has an id that follows from the edit's own, so that the same feedback loaded into another
-- database gives the same pairs.
create or replace function private.edit_pair_id(feedback_id uuid) returns uuid
language sql immutable strict set search_path = '' as $$
  select pg_catalog.encode(
    pg_catalog.substr(pg_catalog.sha256(pg_catalog.convert_to('edit:' || feedback_id::text, 'UTF8')), 1, 16), 'hex'
  )::uuid
$$;

create or replace function private.pair_new_edits() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.preference_pairs
    (id, feedback_id, user_id, created_at, updated_at, source, prompt, chosen, rejected, tools, model_version, metadata)
  select private.edit_pair_id(n.id), n.id, n.user_id, n.created_at, n.updated_at, 'edit',
         n.prompt, n.corrections, n.response, n.tools, n.model_version, n.metadata
  from new_rows n
  where n.feedback_type = 'edit';
  return null;
end $$;

create or replace function private.pair_changed_edits() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from public.preference_pairs p
  using new_rows n
  where p.feedback_id = n.id and p.source = 'edit' and n.feedback_type <> 'edit';

  update public.preference_pairs p
  set user_id = n.user_id, created_at = n.created_at, tools = n.tools, model_version = n.model_version,
      metadata = n.metadata
  from new_rows n
  where p.feedback_id = n.id and p.source = 'edit' and n.feedback_type = 'edit'
    and (p.user_id, p.created_at, p.tools, p.model_version, p.metadata)
        is distinct from (n.user_id, n.created_at, n.tools, n.model_version, n.metadata);

  -- Only where the edit itself changed: a pair whose text a reviewer improved is not overwritten otherwise.
  insert into public.preference_pairs
    (id, feedback_id, user_id, created_at, source, prompt, chosen, rejected, tools, model_version, metadata)
  select private.edit_pair_id(n.id), n.id, n.user_id, n.created_at, 'edit',
         n.prompt, n.corrections, n.response, n.tools, n.model_version, n.metadata
  from new_rows n
  join old_rows o on o.id = n.id
  where n.feedback_type = 'edit'
    and (o.feedback_type, o.prompt, o.corrections, o.response)
        is distinct from (n.feedback_type, n.prompt, n.corrections, n.response)
  on conflict (feedback_id, source) do update
    set prompt = excluded.prompt, chosen = excluded.chosen, rejected = excluded.rejected;
  return null;
end $$;

-- A decision holds for the text it was made on; whoever changes the text and decides anew says so in the same update.
create or replace function private.review_follows_text() returns trigger language plpgsql set search_path = '' as $$
begin
  if (new.prompt, new.chosen, new.rejected) is distinct from (old.prompt, old.chosen, old.rejected)
     and (new.review_status, new.reviewed_at) is not distinct from (old.review_status, old.reviewed_at) then
    new.review_status := 'pending';
  elsif new.review_status <> 'pending' and new.review_status <> old.review_status
        and new.reviewed_at is not distinct from old.reviewed_at then
    new.reviewed_at := pg_catalog.clock_timestamp();
  end if;
  if new.review_status = 'pending' then
    new.reviewed_by := null;
    new.reviewed_at := null;
    new.review_note := null;
  end if;
  return new;
end $$;

create or replace function private.bury() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.feedback_tombstones (table_name, row_id, row_created_at)
  select tg_table_name, o.id, o.created_at
  from old_rows o
  on conflict (table_name, row_id) do update
    set row_created_at = excluded.row_created_at, deleted_at = excluded.deleted_at;
  return null;
end $$;

-- An edit that was turned into something else and back has a living pair again.
create or replace function private.unbury() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from public.feedback_tombstones t
  using new_rows n
  where t.table_name = tg_table_name and t.row_id = n.id;
  return null;
end $$;

create or replace function private.refuse_truncate() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception 'truncate of % is refused because it leaves no tombstones: delete the rows instead', tg_table_name;
end $$;

revoke execute on all functions in schema private from public;

create or replace trigger agent_feedback_touch before update on public.agent_feedback
  for each row execute function private.touch_updated_at();
create or replace trigger preference_pairs_touch before update on public.preference_pairs
  for each row execute function private.touch_updated_at();
create or replace trigger preference_pairs_review before update on public.preference_pairs
  for each row execute function private.review_follows_text();

create or replace trigger agent_feedback_pair_new after insert on public.agent_feedback
  referencing new table as new_rows for each statement execute function private.pair_new_edits();
create or replace trigger agent_feedback_pair_changed after update on public.agent_feedback
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.pair_changed_edits();

create or replace trigger agent_feedback_bury after delete on public.agent_feedback
  referencing old table as old_rows for each statement execute function private.bury();
create or replace trigger preference_pairs_bury after delete on public.preference_pairs
  referencing old table as old_rows for each statement execute function private.bury();
create or replace trigger preference_pairs_unbury after insert on public.preference_pairs
  referencing new table as new_rows for each statement execute function private.unbury();

create or replace trigger agent_feedback_no_truncate before truncate on public.agent_feedback
  for each statement execute function private.refuse_truncate();
create or replace trigger preference_pairs_no_truncate before truncate on public.preference_pairs
  for each statement execute function private.refuse_truncate();
create or replace trigger feedback_tombstones_no_truncate before truncate on public.feedback_tombstones
  for each statement execute function private.refuse_truncate();
