-- What people do on the review pages: who is signed in, what was decided about which pair, and which dataset may train.
-- All of it is the server's own, in the schema that Supabase's API does not expose.

-- Signed-in browsers. A cookie holds a random token, and this its hash: who reads the table cannot use any of them.
create table if not exists private.page_sessions (
  token_hash text primary key,
  key_id     text not null,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  constraint page_sessions_hash_form check (token_hash ~ '^[0-9a-f]{64}$')
);

-- Every decision about a pair, with what the pair was before and after. Deleting the pair deletes this too: a changed
-- text is what a user wrote.
create table if not exists private.pair_decisions (
  id         bigint generated always as identity primary key,
  batch      uuid not null,
  pair_id    uuid not null references public.preference_pairs (id) on delete cascade,
  decided_at timestamptz not null default clock_timestamp(),
  decided_by text not null,
  action     text not null,
  before     jsonb not null,
  after      jsonb not null,
  undoes     bigint unique references private.pair_decisions (id) on delete cascade,
  constraint pair_decisions_action_known check (action in ('approve', 'reject', 'edit', 'undo')),
  constraint pair_decisions_undo_names_one check ((action = 'undo') = (undoes is not null)),
  constraint pair_decisions_decided_by_size check (octet_length(decided_by) between 1 and 200)
);
create index if not exists pair_decisions_pair on private.pair_decisions (pair_id);
create index if not exists pair_decisions_person on private.pair_decisions (decided_by, id);

-- The datasets that a person let train, by what they hold; the last one of a week counts.
create table if not exists private.dataset_sign_offs (
  id           bigint generated always as identity primary key,
  week         date not null,
  dataset_hash text not null,
  signed_at    timestamptz not null default clock_timestamp(),
  signed_by    text not null,
  constraint dataset_sign_offs_week_is_a_monday check (extract(isodow from week) = 1),
  constraint dataset_sign_offs_hash_form check (dataset_hash ~ '^[0-9a-f]{16,64}$'),
  constraint dataset_sign_offs_signed_by_size check (octet_length(signed_by) between 1 and 200)
);
create index if not exists dataset_sign_offs_week on private.dataset_sign_offs (week, id);

-- The inbox shows the newest pairs of a status, or of a model, first.
create index if not exists preference_pairs_status on public.preference_pairs (review_status, created_at, id);
create index if not exists preference_pairs_model on public.preference_pairs (model_version, created_at, id);

alter table private.page_sessions enable row level security;
alter table private.pair_decisions enable row level security;
alter table private.dataset_sign_offs enable row level security;
revoke all on private.page_sessions, private.pair_decisions, private.dataset_sign_offs
  from public, anon, authenticated, service_role;
