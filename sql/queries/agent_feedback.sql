-- One week of feedback, in a fixed order so that the same rows give the same file.
-- By hand: psql -v week_start=2026-11-02T00:00:00+00:00 -v week_end=2026-11-09T00:00:00+00:00 -f agent_feedback.sql
select
  f.id::text         as id,
  f.user_id::text    as user_id,
  f.session_id       as session_id,
  f.feedback_type    as feedback_type,
  f.prompt           as prompt,
  f.response         as response,
  f.corrections      as corrections,
  f.model_version    as model_version,
  f.tools::text      as tools,
  f.metadata::text   as metadata,
  f.score::float8    as score,
  f.created_at       as created_at,
  f.updated_at       as updated_at
from public.agent_feedback f
where f.created_at >= :'week_start' and f.created_at < :'week_end'
order by f.created_at, f.id
