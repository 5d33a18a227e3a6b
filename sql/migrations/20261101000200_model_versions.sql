-- The model registry: every trained policy, what was decided about it, and which one is in use.
create table if not exists public.model_versions (
  version          text primary key,
  week             date not null,
  base_model       text not null,
  adapter_location text,
  dataset_hash     text,
  config_hash      text,
  verdict          jsonb not null default '{}',
  metrics          jsonb not null default '{}',
  status           text not null default 'candidate',
  status_reason    text,
  created_at       timestamptz not null default clock_timestamp(),
  updated_at       timestamptz not null default clock_timestamp(),
  promoted_at      timestamptz,
  promoted_by      text,
  constraint model_versions_version_size check (octet_length(version) between 1 and 200),
  constraint model_versions_week_is_a_monday check (extract(isodow from week) = 1),
  constraint model_versions_status_known check (status in ('candidate', 'champion', 'retired', 'rejected')),
  constraint model_versions_champion_was_promoted check (status <> 'champion' or promoted_at is not null),
  constraint model_versions_promoted_at_finite check (promoted_at >= '1970-01-01+00' and promoted_at < '9999-01-01+00'),
  constraint model_versions_verdict_shape check (jsonb_typeof(verdict) = 'object'),
  constraint model_versions_metrics_shape check (jsonb_typeof(metrics) = 'object')
);

create index if not exists model_versions_week on public.model_versions (week);
-- Never two champions ...
create unique index if not exists model_versions_one_champion on public.model_versions (status)
  where status = 'champion';

-- ... and, once there was one, never none: whoever retires it names its successor in the same transaction.
create or replace function private.keep_a_champion() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  if not exists (select from public.model_versions where status = 'champion') then
    raise exception 'no champion would be left: promote another version in the same transaction'
      using errcode = 'integrity_constraint_violation';
  end if;
  return null;
end $$;

create or replace function private.refuse_registry_truncate() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception 'truncate of % is refused because it would lose the champion: delete the rows instead', tg_table_name;
end $$;

revoke execute on function private.keep_a_champion(), private.refuse_registry_truncate() from public;

drop trigger if exists model_versions_keep_a_champion on public.model_versions;
create constraint trigger model_versions_keep_a_champion after update or delete on public.model_versions
  deferrable initially deferred for each row when (old.status = 'champion')
  execute function private.keep_a_champion();
create or replace trigger model_versions_touch before update on public.model_versions
  for each row execute function private.touch_updated_at();
create or replace trigger model_versions_no_truncate before truncate on public.model_versions
  for each statement execute function private.refuse_registry_truncate();
