-- Versions that part of the traffic tries beside the champion. A version that becomes champion, or is rejected, is no
-- challenger any more, whatever stands here.
create table if not exists public.challengers (
  version    text primary key references public.model_versions (version) on delete cascade,
  share      double precision not null,
  started_at timestamptz not null default clock_timestamp(),
  started_by text not null,
  constraint challengers_share_range check (share > 0 and share < 1),
  constraint challengers_started_by_size check (octet_length(started_by) between 1 and 200)
);

alter table public.challengers enable row level security;
revoke all on public.challengers from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.challengers to service_role;
