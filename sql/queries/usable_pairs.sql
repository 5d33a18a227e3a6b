-- How many pairs of each week could be used, judged cheaply: texts that are there and differ, not rejected by a
-- reviewer. Long texts are not looked into: only short ones can be blank, and lengths come without reading the text.
select
  to_char(date_bin('7 days', p.created_at, '1970-01-05 00:00+00') at time zone 'UTC', 'YYYY-MM-DD') as week,
  count(*) as usable,
  count(*) filter (where p.review_status = 'approved') as approved
from public.preference_pairs p
where p.created_at >= :'week_start' and p.created_at < :'week_end'
  and p.review_status <> 'rejected'
  and p.chosen <> p.rejected
  and case when octet_length(p.prompt) > 200 then true else p.prompt ~ '\S' end
  and case when octet_length(p.chosen) > 200 then true else p.chosen ~ '\S' end
  and case when octet_length(p.rejected) > 200 then true else p.rejected ~ '\S' end
group by 1
