-- Referrals: what a physician sends, the offers to clinics, the history, the notices.
-- pre: adds tables and a nullable column; nothing that runs meanwhile reads them.

create type referral_state as enum (
    'screening', 'matching', 'offered', 'info_requested', 'accepted', 'scheduled', 'in_treatment',
    'completed', 'unrouted', 'cancelled'
);
create type offer_state as enum ('open', 'accepted', 'declined', 'expired', 'withdrawn');
create type urgency as enum ('urgent', 'soon', 'routine');
create type referral_mode as enum ('sequential', 'broadcast');
create type decline_reason as enum (
    'capacity', 'condition', 'route', 'clinical', 'payer', 'age', 'distance', 'language',
    'information', 'unreachable', 'other'
);
create type referral_event as enum (
    'created', 'screening_confirmed', 'offered', 'waiting', 'unrouted', 'accepted', 'declined',
    'asked', 'answered', 'answer_overdue', 'expired', 'clinic_closed', 'clinic_full',
    'clinic_gone', 'clinic_merged', 'scheduled', 'no_show', 'started', 'completed', 'returned', 'cancelled',
    'route_requested', 'reminded', 'erased'
);
create type role_in_referral as enum ('referrer', 'clinic', 'service');
create type audience as enum ('referrer', 'clinic', 'patient');

-- What happened at a clinic, from five answers on: {"answers": 7, "median_hours": 5.5, …}.
alter table clinic add column responsiveness jsonb;

-- Every word about the patient is in `sealed`. The plain columns say where the referral stands.
create table referral (
    id uuid primary key,
    version integer not null,
    state referral_state not null,
    urgency urgency not null,
    mode referral_mode not null,
    -- The principal of the API key that sent it: stays the same when the key is rotated.
    referrer text not null,
    owner_clinic_id uuid references clinic (id),
    -- The clinics with an open offer, here as well so that a policy needs no other table.
    offered_to uuid[] not null default '{}',
    -- Which offer asked; until when the referrer's word is waited for.
    asked_by uuid,
    answer_by timestamptz,
    visit_booked boolean not null default false,
    -- When matching looks again, because a clinic has capacity then.
    retry_at timestamptz,
    -- When the referrer last had it routed again: clinics that let it lapse before may be asked.
    routed_since timestamptz,
    -- The earliest moment at which something has to happen by itself.
    due_at timestamptz,
    -- The owner's week in which this referral takes one of its places.
    capacity_week date,
    fingerprints bytea[] not null default '{}',
    sealed bytea not null,
    history_hash bytea not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    closed_at timestamptz,
    check ((state = 'info_requested') = (asked_by is not null)),
    check (
        (owner_clinic_id is not null)
        = (state in ('accepted', 'scheduled', 'in_treatment', 'completed'))
        or state = 'cancelled'
    ),
    check ((closed_at is not null) = (state in ('completed', 'cancelled')))
);

create index referral_of_referrer on referral (referrer, updated_at, id);
create index referral_of_owner on referral (owner_clinic_id, updated_at, id)
    where owner_clinic_id is not null;
create index referral_offered_to on referral using gin (offered_to) where offered_to <> '{}';
create index referral_due on referral (due_at) where due_at is not null;
-- Looked at whenever one is sent: what is pending would be read through each time.
create index referral_fingerprint on referral using gin (fingerprints) with (fastupdate = off)
    where state not in ('completed', 'cancelled');
create index referral_closed on referral (closed_at) where closed_at is not null;

create table offer (
    id uuid primary key,
    referral_id uuid not null references referral (id),
    referrer text not null,
    clinic_id uuid not null references clinic (id),
    state offer_state not null,
    version integer not null,
    sequential boolean not null,
    opened_at timestamptz not null,
    -- Null while the clock is paused, and once the offer is no longer open.
    due_at timestamptz,
    remind_at timestamptz,
    reminded_at timestamptz,
    -- What was left of the clock when it was paused.
    remaining interval,
    questions integer not null default 0,
    -- The clinic's first word: an acceptance, a decline or a question.
    first_answer_at timestamptz,
    decided_at timestamptz,
    decline_reason decline_reason,
    updated_at timestamptz not null,
    check ((state = 'declined') = (decline_reason is not null)),
    check ((state = 'open') = (decided_at is null)),
    check (due_at is null or state = 'open')
);

create index offer_of_referral on offer (referral_id);
create index offer_of_clinic on offer (clinic_id, updated_at, id);
create unique index offer_open_once on offer (referral_id, clinic_id) where state = 'open';
-- In sequential mode one clinic is asked at a time, whatever the code believes.
create unique index offer_one_at_a_time on offer (referral_id) where state = 'open' and sequential;

-- Matching reads the directory as its process last heard of it. An offer to a clinic that was deleted
-- or closed in the meantime would reach nobody: whoever reads the log for that has passed it already.
-- The lock makes a change of the clinic wait for this offer, or this offer see the change.
create function require_listed_clinic() returns trigger language plpgsql as $$
begin
    perform from clinic
    where id = new.clinic_id and status = 'active' and accepting in ('yes', 'unknown')
    for share;
    if not found then
        raise exception 'the directory has moved on' using errcode = 'serialization_failure';
    end if;
    return new;
end
$$;

-- New offers only. One that is changed comes through the same statement, and must not be held up: it
-- has a higher version, or was reminded of.
create trigger require_listed_clinic before insert on offer
    for each row
    when (new.state = 'open' and new.version = 1 and new.reminded_at is null)
    execute function require_listed_clinic();

-- The data key of a referral, wrapped by a key of the keyring. Without it the patient is unreadable.
create table sealed_key (
    referral_id uuid primary key references referral (id),
    keyring_id text not null,
    wrapped bytea,
    erased_at timestamptz,
    check ((wrapped is null) = (erased_at is not null))
);

create index sealed_key_of_keyring on sealed_key (keyring_id) where wrapped is not null;

-- One row a step, chained: `hash` covers the row and the hash of the version before.
create table referral_history (
    referral_id uuid not null references referral (id),
    version integer not null,
    at timestamptz not null,
    event referral_event not null,
    role role_in_referral not null,
    actor text not null,
    from_state referral_state,
    to_state referral_state not null,
    offer_id uuid,
    clinic_id uuid,
    reason decline_reason,
    -- What was said: a question, an answer, an outcome, why this clinic. Sealed.
    sealed bytea,
    keyring_id text not null,
    hash bytea not null,
    primary key (referral_id, version)
);

-- How many referrals a clinic took in its own week, which begins on Monday in its time zone.
create table clinic_week (
    clinic_id uuid not null references clinic (id),
    week date not null,
    taken integer not null check (taken >= 0),
    primary key (clinic_id, week)
);

-- What was answered to an Idempotency-Key. Both the key and the body are kept as keyed hashes.
create table idempotency (
    principal text not null,
    key_hash bytea not null,
    request_hash bytea not null,
    referral_id uuid not null references referral (id),
    sealed bytea not null,
    created_at timestamptz not null,
    primary key (principal, key_hash)
);

create index idempotency_age on idempotency (created_at);

-- What somebody has to be told: written with the step, sent afterwards, under this id.
create table notice (
    id uuid primary key,
    referral_id uuid not null references referral (id),
    version integer not null,
    event referral_event not null,
    audience audience not null,
    principal text,
    clinic_id uuid references clinic (id),
    offer_id uuid,
    at timestamptz not null,
    attempts integer not null default 0,
    -- Null once it was sent, or given up.
    next_attempt_at timestamptz,
    sent_at timestamptz,
    given_up_at timestamptz,
    -- How it went, from a closed set; never a text of the mail server.
    outcome text,
    check ((audience = 'clinic') = (clinic_id is not null)),
    check ((audience = 'referrer') = (principal is not null))
);

create index notice_of_referral on notice (referral_id, version);
create index notice_due on notice (next_attempt_at) where next_attempt_at is not null;

-- How far the directory's log was read for what it means to open offers and to owners.
create table directory_reader (
    name text primary key,
    seq bigint not null
);

insert into directory_reader (name, seq)
select 'referrals', coalesce(max(seq), 0) from directory_change;

-- Row-level security. A request may see, and lock, what is the caller's; it writes nothing: the
-- checks of the update policies are false. What follows from a step is written as the worker.

alter table referral enable row level security;
alter table referral force row level security;
alter table offer enable row level security;
alter table offer force row level security;
alter table sealed_key enable row level security;
alter table sealed_key force row level security;
alter table referral_history enable row level security;
alter table referral_history force row level security;
alter table idempotency enable row level security;
alter table idempotency force row level security;
alter table notice enable row level security;
alter table notice force row level security;

create policy own on referral for select to clinicway_service using (
    referrer = (select nullif(current_setting('clinicway.principal', true), ''))
    or owner_clinic_id = any (
        (select nullif(current_setting('clinicway.clinics', true), ''))::uuid[]
    )
    or offered_to && (select nullif(current_setting('clinicway.clinics', true), ''))::uuid[]
);

create policy lock_own on referral for update to clinicway_service using (
    referrer = (select nullif(current_setting('clinicway.principal', true), ''))
    or owner_clinic_id = any (
        (select nullif(current_setting('clinicway.clinics', true), ''))::uuid[]
    )
) with check (false);

create policy own on offer for select to clinicway_service using (
    referrer = (select nullif(current_setting('clinicway.principal', true), ''))
    or clinic_id = any ((select nullif(current_setting('clinicway.clinics', true), ''))::uuid[])
);

create policy lock_own on offer for update to clinicway_service using (
    clinic_id = any ((select nullif(current_setting('clinicway.clinics', true), ''))::uuid[])
) with check (false);

-- Whoever may see the referral may see its key and its history.
create policy own on sealed_key for select to clinicway_service using (
    exists (select from referral where referral.id = sealed_key.referral_id)
);

create policy own on referral_history for select to clinicway_service using (
    exists (select from referral where referral.id = referral_history.referral_id)
);

create policy own on idempotency for select to clinicway_service using (
    principal = (select nullif(current_setting('clinicway.principal', true), ''))
);

create policy all_rows on referral to clinicway_worker using (true) with check (true);
create policy all_rows on offer to clinicway_worker using (true) with check (true);
create policy all_rows on sealed_key to clinicway_worker using (true) with check (true);
create policy all_rows on referral_history to clinicway_worker using (true) with check (true);
create policy all_rows on idempotency to clinicway_worker using (true) with check (true);
create policy all_rows on notice to clinicway_worker using (true) with check (true);

grant select on referral, offer, sealed_key, referral_history, idempotency to clinicway_service;
-- To lock a row, a role needs the right to update a column of it.
grant update (version) on referral, offer to clinicway_service;
grant select on clinic_week to clinicway_service;

grant select, insert, update on referral, offer, sealed_key, clinic_week, notice
    to clinicway_worker;
grant select, insert on referral_history to clinicway_worker;
grant select, insert, delete on idempotency to clinicway_worker;
grant delete on notice, clinic_week to clinicway_worker;
grant select, update on directory_reader to clinicway_worker;
-- For the lock of require_listed_clinic.
grant update (version) on clinic to clinicway_worker;
