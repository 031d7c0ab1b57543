-- The audit trail: who read or changed a patient's data or a key. No word about a patient is in it.
-- pre: adds tables that nothing of the previous release knows.

create type audit_action as enum (
    'key_created', 'key_rotated', 'key_revoked', 'keyring_rotated',
    'referral_created', 'referral_read', 'referrals_listed',
    'history_read', 'referral_cancelled', 'screening_confirmed', 'question_answered',
    'referral_routed', 'visit_scheduled', 'visit_missed', 'treatment_started',
    'referral_completed', 'referral_returned', 'referral_erased', 'tracking_made',
    'offer_read', 'offers_listed', 'offer_accepted', 'offer_declined', 'offer_asked'
);
create type audit_object as enum ('key', 'keyring', 'referral', 'offer');

-- Entries stand in 16 chains, so that callers seldom wait for each other. The row of a lane names
-- its last entry. `mac` is made with a key that is not in the database and is kept nowhere else:
-- whoever cuts entries off the end of a lane cannot put the row back to what it was then.
create table audit_lane (
    lane smallint primary key check (lane between 0 and 15),
    entries bigint not null check (entries >= 0),
    last_mac bytea not null,
    keyring_id text not null,
    mac bytea not null
);

create table audit_entry (
    lane smallint not null references audit_lane (lane),
    number bigint not null check (number > 0),
    id uuid not null unique,
    at timestamptz not null,
    actor text not null,
    principal text,
    action audit_action not null,
    object_kind audit_object not null,
    -- Null when a list was read: `related` then holds what was on it.
    object_id text,
    related text[] not null default '{}',
    request_id text,
    -- What came of it, as JSON, whose bytes the mac covers.
    outcome text not null,
    -- The row of the lane was not what we had written when this entry was appended to it.
    resumed boolean not null,
    keyring_id text not null,
    -- HMAC-SHA-256 over all of the above and the mac of the entry before.
    mac bytea not null,
    primary key (lane, number)
);

create index audit_entry_object on audit_entry (object_id, id) where object_id is not null;
create index audit_entry_related on audit_entry using gin (related);
create index audit_entry_actor on audit_entry (actor, id);
create index audit_entry_principal on audit_entry (principal, id) where principal is not null;

-- The first wall: nobody but the owner has the right to change or remove an entry.
grant select, insert on audit_entry to clinicway_service;
grant insert on audit_entry to clinicway_worker;
grant select, insert on audit_lane to clinicway_service, clinicway_worker;
grant update (entries, last_mac, keyring_id, mac) on audit_lane
    to clinicway_service, clinicway_worker;

-- The second: nor does the owner, by accident. A superuser may; the chains tell of it.
create function keep_audit_entries() returns trigger language plpgsql
set search_path = pg_catalog as $$
begin
    if not (select rolsuper from pg_roles where rolname = current_user) then
        raise exception 'entries of the audit trail stay as they are'
            using errcode = 'insufficient_privilege';
    end if;
    return null;
end
$$;

create trigger audit_entry_stays before update or delete or truncate on audit_entry
    for each statement execute function keep_audit_entries();
