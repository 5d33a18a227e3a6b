-- The keys of the HTTP API, as hashes: who reads this table cannot use any of them. A key is 256 random bits, so that one
-- round of SHA-256 is enough. The table lies outside the schemas that Supabase's own API exposes, and no role of it may
-- look at it.
create table if not exists private.api_keys (
  id          text primary key,
  kind        text not null,
  name        text not null,
  secret_hash text not null unique,
  created_at  timestamptz not null default clock_timestamp(),
  revoked_at  timestamptz,
  constraint api_keys_id_form check (id ~ '^[0-9a-f]{8}$'),
  constraint api_keys_kind_known check (kind in ('app', 'admin', 'model')),
  constraint api_keys_name_size check (octet_length(name) between 1 and 200),
  constraint api_keys_hash_form check (secret_hash ~ '^[0-9a-f]{64}$')
);

alter table private.api_keys enable row level security;
revoke all on private.api_keys from public, anon, authenticated, service_role;

-- Without this a deleted key would look as if there had never been one, which on this machine opens the API to everyone.
create or replace function private.refuse_key_deletion() returns trigger language plpgsql set search_path = '' as $$
begin
  raise exception 'keys are revoked, not deleted: grpo-pipeline keys revoke';
end $$;
revoke execute on function private.refuse_key_deletion() from public;

create or replace trigger api_keys_no_delete before delete on private.api_keys
  for each statement execute function private.refuse_key_deletion();
create or replace trigger api_keys_no_truncate before truncate on private.api_keys
  for each statement execute function private.refuse_key_deletion();
