-- A pair is read together with the score of its feedback, so a new score is a change of the pair too: without this the
-- fingerprint of the pairs' week would stay the same.
create or replace function private.touch_scored_pairs() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  update public.preference_pairs p
  set updated_at = pg_catalog.clock_timestamp()
  from new_rows n
  join old_rows o on o.id = n.id
  where p.feedback_id = n.id and o.score is distinct from n.score;
  return null;
end $$;

revoke execute on function private.touch_scored_pairs() from public;

create or replace trigger agent_feedback_score_changed after update on public.agent_feedback
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.touch_scored_pairs();
