-- Who may do what. Explicit on purpose: new Supabase projects grant nothing on new tables, old ones grant everything.
alter table public.agent_feedback enable row level security;
alter table public.preference_pairs enable row level security;
alter table public.feedback_tombstones enable row level security;
alter table public.model_versions enable row level security;

revoke all on public.agent_feedback, public.preference_pairs, public.feedback_tombstones, public.model_versions
  from public, anon, authenticated, service_role;

-- Users only add feedback. The column list keeps the id, the user and both times on the server's side.
grant insert
  (session_id, feedback_type, prompt, response, corrections, score, model_version, tools, metadata, idempotency_key)
  on public.agent_feedback to authenticated;
drop policy if exists "users add their own feedback" on public.agent_feedback;
create policy "users add their own feedback" on public.agent_feedback for insert to authenticated
  with check ((select auth.uid()) is not null and user_id = (select auth.uid()));

grant select, insert, update, delete
  on public.agent_feedback, public.preference_pairs, public.feedback_tombstones, public.model_versions to service_role;

-- The extraction reads the feedback and nothing else.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'feedback_extractor') then
    create role feedback_extractor nologin noinherit;
  end if;
end $$;
-- Whoever migrates can also extract as this role, with `set local role feedback_extractor`.
grant feedback_extractor to current_user;
alter role feedback_extractor set default_transaction_read_only = on;
alter role feedback_extractor set statement_timeout = '30min';
alter role feedback_extractor set idle_in_transaction_session_timeout = '10min';
alter role feedback_extractor set lock_timeout = '5s';
alter role feedback_extractor set timezone = 'UTC';

grant usage on schema public to feedback_extractor;
grant select on public.agent_feedback, public.preference_pairs, public.feedback_tombstones to feedback_extractor;
drop policy if exists "extractor reads" on public.agent_feedback;
create policy "extractor reads" on public.agent_feedback for select to feedback_extractor using (true);
drop policy if exists "extractor reads" on public.preference_pairs;
create policy "extractor reads" on public.preference_pairs for select to feedback_extractor using (true);
drop policy if exists "extractor reads" on public.feedback_tombstones;
create policy "extractor reads" on public.feedback_tombstones for select to feedback_extractor using (true);
