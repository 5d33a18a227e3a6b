-- Who judged which version's answers when, and how: no texts. Whoever is not signed in is his session, where that is known.
-- By hand: psql -v week_start=2026-11-02T00:00:00+00:00 -v week_end=2026-11-09T00:00:00+00:00 -f judgements.sql
select
  f.created_at                                             as created_at,
  coalesce(f.user_id::text, 'session:' || f.session_id)    as person,
  f.model_version                                          as model_version,
  f.feedback_type                                          as feedback_type,
  f.score::float8                                          as score,
  (f.tools is not null)                                    as with_tools
from public.agent_feedback f
where f.created_at >= :'week_start' and f.created_at < :'week_end'
order by f.created_at, f.id
