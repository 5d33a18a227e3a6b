-- One week of preference pairs with the score of the feedback each came from, in a fixed order.
-- By hand: psql -v week_start=2026-11-02T00:00:00+00:00 -v week_end=2026-11-09T00:00:00+00:00 -f preference_pairs.sql
select
  p.id::text          as id,
  p.feedback_id::text as feedback_id,
  p.user_id::text     as user_id,
  p.source            as source,
  p.prompt            as prompt,
  p.chosen            as chosen,
  p.rejected          as rejected,
  p.tools::text       as tools,
  p.model_version     as model_version,
  p.review_status     as review_status,
  p.metadata::text    as metadata,
  f.score::float8     as score,
  p.created_at        as created_at,
  p.updated_at        as updated_at
from public.preference_pairs p
left join public.agent_feedback f on f.id = p.feedback_id
where p.created_at >= :'week_start' and p.created_at < :'week_end'
order by p.created_at, p.id
