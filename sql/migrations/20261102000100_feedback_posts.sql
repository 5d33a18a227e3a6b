-- Feedback that comes through the HTTP API: one vote per user and response, of which the last one counts. The id of such
-- a row follows from who gave it and to what, so that the primary key is what keeps it single.

-- What feedback said before it was changed. Deleting the feedback, or its user, deletes this too.
create table if not exists public.agent_feedback_history (
  id            bigint generated always as identity primary key,
  feedback_id   uuid not null references public.agent_feedback (id) on delete cascade,
  replaced_at   timestamptz not null default clock_timestamp(),
  feedback_type text not null,
  score         double precision,
  corrections   text
);
create index if not exists agent_feedback_history_feedback on public.agent_feedback_history (feedback_id);

create or replace function private.keep_feedback_history() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into public.agent_feedback_history (feedback_id, feedback_type, score, corrections)
  select o.id, o.feedback_type, o.score, o.corrections
  from old_rows o
  join new_rows n on n.id = o.id
  where (o.feedback_type, o.score, o.corrections) is distinct from (n.feedback_type, n.score, n.corrections);
  return null;
end $$;

create or replace trigger agent_feedback_history after update on public.agent_feedback
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.keep_feedback_history();

-- Every idempotency key that was used, also of feedback that was changed since: a request that comes late, after a newer
-- vote, changes nothing.
create table if not exists private.feedback_requests (
  scope       text not null,
  key         text not null,
  feedback_id uuid not null references public.agent_feedback (id) on delete cascade,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (scope, key),
  constraint feedback_requests_size check (octet_length(scope) <= 300 and octet_length(key) between 1 and 200)
);
create index if not exists feedback_requests_feedback on private.feedback_requests (feedback_id);

-- The same vote can be given again after it was deleted; then it is not a deleted row any more.
create or replace trigger agent_feedback_unbury after insert on public.agent_feedback
  referencing new table as new_rows for each statement execute function private.unbury();

revoke execute on function private.keep_feedback_history() from public;

alter table public.agent_feedback_history enable row level security;
alter table private.feedback_requests enable row level security;
revoke all on public.agent_feedback_history, private.feedback_requests from public, anon, authenticated, service_role;
grant select, delete on public.agent_feedback_history to service_role;
