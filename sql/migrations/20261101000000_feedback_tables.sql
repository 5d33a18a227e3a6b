-- The feedback that users give, and the preference pairs that train a model.
-- Every statement of these migrations can run again, so that a database prepared with psql, the SQL editor or the
-- Supabase CLI can be taken over by `grpo-pipeline db migrate` at any time.

create table if not exists public.agent_feedback (
  id              uuid primary key default gen_random_uuid(),
  created_at      timestamptz not null default clock_timestamp(),
  updated_at      timestamptz not null default clock_timestamp(),
  user_id         uuid default auth.uid() references auth.users (id) on delete cascade,
  session_id      text,
  feedback_type   text not null,
  prompt          text not null,
  response        text not null,
  corrections     text,
  score           double precision,
  model_version   text,
  tools           jsonb,
  metadata        jsonb not null default '{}',
  idempotency_key text,
  -- The upper bound keeps out infinity and the years that date libraries cannot hold.
  constraint agent_feedback_created_at_finite check (created_at >= '1970-01-01+00' and created_at < '9999-01-01+00'),
  constraint agent_feedback_updated_at_finite check (updated_at >= '1970-01-01+00' and updated_at < '9999-01-01+00'),
  constraint agent_feedback_type_known check (feedback_type in ('thumbs_up', 'thumbs_down', 'rating', 'edit', 'comment')),
  constraint agent_feedback_edit_has_corrections check (feedback_type <> 'edit' or corrections is not null),
  constraint agent_feedback_rating_has_score check (feedback_type <> 'rating' or score is not null),
  -- NaN sorts above every number in Postgres, so the range keeps it out too.
  constraint agent_feedback_score_range check (score between 1 and 5),
  constraint agent_feedback_prompt_size check (octet_length(prompt) <= 262144),
  constraint agent_feedback_response_size check (octet_length(response) <= 262144),
  constraint agent_feedback_corrections_size check (octet_length(corrections) <= 262144),
  constraint agent_feedback_session_id_size check (octet_length(session_id) <= 200),
  constraint agent_feedback_model_version_size check (octet_length(model_version) <= 200),
  constraint agent_feedback_tools_shape check (jsonb_typeof(tools) = 'array' and octet_length(tools::text) <= 262144),
  constraint agent_feedback_metadata_shape
    check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 65536),
  constraint agent_feedback_idempotency_key_size check (octet_length(idempotency_key) between 1 and 200)
);

create table if not exists public.preference_pairs (
  id            uuid primary key default gen_random_uuid(),
  feedback_id   uuid references public.agent_feedback (id) on delete cascade,
  user_id       uuid references auth.users (id) on delete cascade,
  created_at    timestamptz not null default clock_timestamp(),
  updated_at    timestamptz not null default clock_timestamp(),
  source        text not null default 'import',
  prompt        text not null,
  chosen        text not null,
  rejected      text not null,
  tools         jsonb,
  model_version text,
  review_status text not null default 'pending',
  reviewed_by   text,
  reviewed_at   timestamptz,
  review_note   text,
  metadata      jsonb not null default '{}',
  constraint preference_pairs_created_at_finite check (created_at >= '1970-01-01+00' and created_at < '9999-01-01+00'),
  constraint preference_pairs_updated_at_finite check (updated_at >= '1970-01-01+00' and updated_at < '9999-01-01+00'),
  constraint preference_pairs_reviewed_at_finite check (reviewed_at >= '1970-01-01+00' and reviewed_at < '9999-01-01+00'),
  constraint preference_pairs_source_name check (source ~ '^[a-z][a-z0-9_]{0,39}$'),
  constraint preference_pairs_review_status_known check (review_status in ('pending', 'approved', 'rejected')),
  constraint preference_pairs_prompt_size check (octet_length(prompt) <= 262144),
  constraint preference_pairs_chosen_size check (octet_length(chosen) <= 262144),
  constraint preference_pairs_rejected_size check (octet_length(rejected) <= 262144),
  constraint preference_pairs_model_version_size check (octet_length(model_version) <= 200),
  constraint preference_pairs_reviewed_by_size check (octet_length(reviewed_by) <= 200),
  constraint preference_pairs_review_note_size check (octet_length(review_note) <= 8192),
  constraint preference_pairs_tools_shape check (jsonb_typeof(tools) = 'array' and octet_length(tools::text) <= 262144),
  constraint preference_pairs_metadata_shape
    check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 65536)
);

-- Which rows were deleted, and never what they said.
create table if not exists public.feedback_tombstones (
  table_name     text not null,
  row_id         uuid not null,
  row_created_at timestamptz not null,
  deleted_at     timestamptz not null default clock_timestamp(),
  primary key (table_name, row_id)
);

-- A week is read by its window and fingerprinted from the index alone, hence the included column.
create index if not exists agent_feedback_window on public.agent_feedback (created_at, id) include (updated_at);
create index if not exists preference_pairs_window on public.preference_pairs (created_at, id) include (updated_at);
create index if not exists agent_feedback_user on public.agent_feedback (user_id);
create index if not exists preference_pairs_user on public.preference_pairs (user_id);
create index if not exists feedback_tombstones_deleted on public.feedback_tombstones (deleted_at);

-- The same key sent twice by the same user (or twice without a user) is the same feedback.
create unique index if not exists agent_feedback_idempotency on public.agent_feedback (user_id, idempotency_key)
  nulls not distinct where idempotency_key is not null;
create unique index if not exists preference_pairs_feedback on public.preference_pairs (feedback_id, source);
