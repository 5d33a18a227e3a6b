-- How many rows each week has, and one number over their ids and update times: it changes with every row that is added
-- (also late), edited or deleted. Answered from the (created_at, id) include (updated_at) indexes alone.
select
  'agent_feedback' as table_name,
  to_char(date_bin('7 days', f.created_at, '1970-01-05 00:00+00') at time zone 'UTC', 'YYYY-MM-DD') as week,
  count(*) as row_count,
  sum(uuid_hash_extended(f.id, (extract(epoch from f.updated_at) * 1000000)::bigint)::numeric)::text as digest
from public.agent_feedback f
where f.created_at >= :'week_start' and f.created_at < :'week_end'
group by 2
union all
select
  'preference_pairs' as table_name,
  to_char(date_bin('7 days', p.created_at, '1970-01-05 00:00+00') at time zone 'UTC', 'YYYY-MM-DD') as week,
  count(*) as row_count,
  sum(uuid_hash_extended(p.id, (extract(epoch from p.updated_at) * 1000000)::bigint)::numeric)::text as digest
from public.preference_pairs p
where p.created_at >= :'week_start' and p.created_at < :'week_end'
group by 2
