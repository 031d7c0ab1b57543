-- Webhooks: who wants to hear of what, and each message to each of them until it is delivered.
-- pre: adds tables; nothing that runs meanwhile reads them.

create type delivery_state as enum ('pending', 'delivered', 'dead');
create type delivery_fault as enum (
    'address_refused', 'name_not_found', 'not_reached', 'tls_failed', 'timed_out', 'not_http',
    'redirected', 'bad_status', 'gone', 'webhook_disabled', 'key_ended', 'secret_unreadable'
);
create type disabled_reason as enum ('gone');

create table webhook_subscription (
    id uuid primary key,
    -- The line of API keys that made it: it stays when the key is rotated.
    principal text not null,
    -- The clinics that this line speaks for. What a key may do never changes.
    clinics uuid[] not null default '{}',
    url text not null,
    description text,
    -- Null means every type of event, those of later releases, too.
    events text[],
    -- What messages are signed with: AES-256-GCM under the keyring key named beside it, bound to
    -- table, column and row.
    secret bytea not null,
    secret_keyring_id text not null,
    -- The secret before the last rotation, which signs as well until its end.
    previous_secret bytea,
    previous_keyring_id text,
    previous_until timestamptz,
    -- The receiver asked for a pause, or cannot be reached: nothing is sent before.
    quiet_until timestamptz,
    created_at timestamptz not null default now(),
    disabled_at timestamptz,
    disabled_reason disabled_reason,
    unique (id, principal),
    check ((disabled_at is null) = (disabled_reason is null)),
    check (num_nulls(previous_secret, previous_keyring_id, previous_until) in (0, 3))
);

create index webhook_subscription_of_principal on webhook_subscription (principal, id);
create index webhook_subscription_of_clinic on webhook_subscription using gin (clinics)
    where clinics <> '{}';

create table webhook_delivery (
    -- The header webhook-id: the same at every attempt, and when it is sent once more on demand.
    id uuid primary key,
    subscription_id uuid not null,
    -- Here as well, so that a policy needs no other table.
    principal text not null,
    event_type text not null,
    subject_kind text not null,
    subject_id uuid not null,
    -- What this follows from (the id of a notice): queued once for each subscription.
    source uuid,
    -- The bytes that are signed and sent: ids and names of steps, nothing about a patient.
    payload text not null,
    created_at timestamptz not null default now(),
    state delivery_state not null default 'pending',
    -- Attempts begun, ever. An attempt that is no longer the newest writes down nothing.
    attempts integer not null default 0,
    -- Attempts begun since it was last queued: where it stands in the schedule.
    tries integer not null default 0,
    next_attempt_at timestamptz default now(),
    last_attempt_at timestamptz,
    last_status smallint,
    last_fault delivery_fault,
    delivered_at timestamptz,
    dead_at timestamptz,
    -- A request cannot queue anything for the webhook of somebody else.
    foreign key (subscription_id, principal)
        references webhook_subscription (id, principal) on delete cascade,
    unique (subscription_id, source),
    check ((state = 'pending') = (next_attempt_at is not null)),
    check ((state = 'delivered') = (delivered_at is not null)),
    check ((state = 'dead') = (dead_at is not null))
);

create index webhook_delivery_of_subscription on webhook_delivery (subscription_id, id);
create index webhook_delivery_due on webhook_delivery (subscription_id, next_attempt_at)
    where state = 'pending';
create index webhook_delivery_age on webhook_delivery (created_at) where state <> 'pending';

alter table webhook_subscription enable row level security;
alter table webhook_subscription force row level security;
alter table webhook_delivery enable row level security;
alter table webhook_delivery force row level security;

create policy own on webhook_subscription to clinicway_service
    using (principal = (select nullif(current_setting('clinicway.principal', true), '')))
    with check (principal = (select nullif(current_setting('clinicway.principal', true), '')));
create policy own on webhook_delivery to clinicway_service
    using (principal = (select nullif(current_setting('clinicway.principal', true), '')))
    with check (principal = (select nullif(current_setting('clinicway.principal', true), '')));
create policy all_rows on webhook_subscription to clinicway_worker using (true) with check (true);
create policy all_rows on webhook_delivery to clinicway_worker using (true) with check (true);

grant select, insert, delete on webhook_subscription to clinicway_service;
grant update (
    secret, secret_keyring_id, previous_secret, previous_keyring_id, previous_until, quiet_until,
    disabled_at, disabled_reason
) on webhook_subscription to clinicway_service;
grant select on webhook_delivery to clinicway_service;
-- To queue what is dead or delivered once more.
grant update (state, tries, next_attempt_at, delivered_at, dead_at)
    on webhook_delivery to clinicway_service;

grant select, update on webhook_subscription to clinicway_worker;
grant select, insert, update, delete on webhook_delivery to clinicway_worker;
