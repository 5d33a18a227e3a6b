-- What was changed about the models in use: every share of the traffic and every change of status, with when, by whom
-- and why. Shares of the past say which traffic a comparison had to expect.
create table if not exists public.model_changes (
  id         bigint generated always as identity primary key,
  changed_at timestamptz not null default clock_timestamp(),
  -- No reference: what was done with a version stays known after it is removed.
  version    text not null,
  change     text not null,
  share      double precision,
  status     text,
  changed_by text not null,
  reason     text,
  constraint model_changes_change_known check (change in ('share', 'status')),
  constraint model_changes_says_what check ((change = 'share') = (share is not null) and (change = 'status') = (status is not null))
);

-- Who changes something says so for the transaction: set_config('grpo.changed_by', 'name', true).
create or replace function private.who_changes(otherwise text) returns text
language sql stable set search_path = '' as $$
  select coalesce(nullif(pg_catalog.current_setting('grpo.changed_by', true), ''), otherwise, session_user::text)
$$;

create or replace function private.keep_share_changes() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'DELETE' then
    insert into public.model_changes (version, change, share, changed_by, reason)
    values (old.version, 'share', 0, private.who_changes(null),
            nullif(pg_catalog.current_setting('grpo.reason', true), ''));
  elsif tg_op = 'INSERT' or new.share <> old.share then
    insert into public.model_changes (version, change, share, changed_by, reason)
    values (new.version, 'share', new.share, private.who_changes(new.started_by),
            nullif(pg_catalog.current_setting('grpo.reason', true), ''));
  end if;
  return null;
end $$;

create or replace function private.keep_status_changes() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.model_changes (version, change, status, changed_by, reason)
  values (new.version, 'status', new.status, private.who_changes(new.promoted_by), new.status_reason);
  return null;
end $$;

revoke execute on function private.who_changes(text), private.keep_share_changes(), private.keep_status_changes()
  from public;

create or replace trigger challengers_history after insert or update or delete on public.challengers
  for each row execute function private.keep_share_changes();
create or replace trigger model_versions_history after update on public.model_versions
  for each row when (old.status is distinct from new.status) execute function private.keep_status_changes();

-- What was in use before changes were kept.
insert into public.model_changes (changed_at, version, change, status, changed_by, reason)
select m.promoted_at, m.version, 'status', m.status, coalesce(m.promoted_by, session_user::text), m.status_reason
from public.model_versions m
where m.status = 'champion' and not exists (select from public.model_changes c where c.version = m.version);
insert into public.model_changes (changed_at, version, change, share, changed_by)
select t.started_at, t.version, 'share', t.share, t.started_by
from public.challengers t
where not exists (select from public.model_changes c where c.version = t.version and c.change = 'share');

alter table public.model_changes enable row level security;
revoke all on public.model_changes from public, anon, authenticated, service_role;
grant select on public.model_changes to service_role;
