-- The directory: clinics, what they offer, the log of changes, the catalogues, and API keys.
-- pre: nothing else runs against an empty database.

create type drug as enum ('ketamine', 'esketamine');
create type route as enum ('iv', 'im', 'subcutaneous', 'nasal', 'oral', 'sublingual');
create type setting as enum ('clinic', 'at_home');
create type accepting as enum ('yes', 'no', 'existing_only', 'existing_and_family', 'unknown');
create type clinic_status as enum ('active', 'merged', 'deleted');
create type change_kind as enum ('upsert', 'delete', 'merge');
create type point_precision as enum
    ('exact', 'address', 'postal_unit', 'postal_area', 'city', 'state');

-- What the catalogues say is data of the release: it is replaced at every start.
create table catalogue_entry (
    kind text not null,
    code text not null,
    position integer not null,
    document jsonb not null,
    primary key (kind, code)
);

create table organization (
    id uuid primary key,
    slug text not null unique,
    name text not null,
    created_at timestamptz not null default now()
);

create table clinic (
    id uuid primary key,
    slug text not null unique,
    status clinic_status not null default 'active',
    merged_into uuid references clinic (id),
    version integer not null default 1,
    -- The newest row of directory_change for this clinic: its public profile stands there.
    change_seq bigint not null,

    name text not null,
    organization_id uuid references organization (id),

    line1 text,
    line2 text,
    city text not null,
    state text not null,
    postal_code text,
    country text not null,

    -- Null when the address could not be placed: such a clinic is found by name, never by distance.
    lat double precision,
    lon double precision,
    point_source text,
    point_precision point_precision,
    uncertainty_m integer,
    point_flags text[] not null default '{}',
    time_zone text,

    phone text,
    email text,
    website text,

    director_name text,
    director_credential text,
    director_specialty text,
    director_registration_system text,
    director_registration_value text,

    accepting accepting not null default 'unknown',
    wait_days integer,
    weekly_capacity integer,
    payers text[] not null default '{}',
    languages text[] not null default '{}',
    age_min integer,
    age_max integer,
    assesses text[] not null default '{}',
    telehealth boolean,
    rems_certified boolean,
    -- [{"days": ["mon"], "opens": "09:00", "closes": "17:00"}], closes <= opens means past midnight.
    hours jsonb not null default '[]',
    programmes text[] not null default '{}',

    source_name text not null,
    source_url text,
    source_retrieved_on date,
    source_licence text,
    unverified text[] not null default '{}',
    -- Per field, where it does not stand on the record's own source:
    -- {"phone": {"source": "…", "verified_at": "…", "verified_by": "…", "expires_at": "…"}}
    provenance jsonb not null default '{}',
    verified_at timestamptz,

    -- Which row of which import this is, and a hash of what was read: a repeated import finds both.
    import_key text unique,
    import_hash bytea,

    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),

    check ((status = 'merged') = (merged_into is not null)),
    check ((lat is null) = (lon is null)),
    check (lat between -90 and 90),
    check (lon between -180 and 180),
    check (age_min <= age_max)
);

create index clinic_phone on clinic (phone) where status = 'active' and phone is not null;
create index clinic_registration
    on clinic (director_registration_system, director_registration_value)
    where status = 'active' and director_registration_value is not null;
create index clinic_verified on clinic (verified_at nulls first) where status = 'active';
create index clinic_organization on clinic (organization_id);

create table offering (
    id uuid primary key,
    clinic_id uuid not null references clinic (id) on delete cascade,
    position integer not null,
    drug drug not null,
    route route not null,
    setting setting not null,
    conditions text[] not null default '{}',
    coverage text[] not null default '{}',
    initial_sessions integer,
    initial_days integer,
    session_minutes integer,
    monitoring_minutes integer,
    maintenance_days integer,
    price_amount numeric(10, 2),
    price_currency text,
    price_per text,
    unique (clinic_id, position),
    -- A coverage area belongs to what is delivered at home and to nothing else.
    check (setting = 'at_home' or coverage = '{}'),
    check ((price_amount is null) = (price_currency is null))
);

-- The log: one row a committed step of the directory, numbered without gaps in commit order.
-- Writers hold one advisory lock until they commit, so a reader that has seen N has seen all before.
create table directory_change (
    seq bigint primary key,
    kind change_kind not null,
    clinic_id uuid not null references clinic (id) deferrable initially deferred,
    merged_into uuid references clinic (id) deferrable initially deferred,
    at timestamptz not null,
    actor text not null,
    -- The public profile as it is served: text, because its bytes are the answer. Null on a tombstone.
    profile text,
    check ((kind = 'upsert') = (profile is not null)),
    check ((kind = 'merge') = (merged_into is not null))
);

create index directory_change_clinic on directory_change (clinic_id, seq);

alter table clinic
    add foreign key (change_seq) references directory_change (seq) deferrable initially deferred;

create table api_key (
    id text primary key,
    name text not null,
    scopes text[] not null,
    -- HMAC-SHA-256 of the secret under the keyring key named beside it: the secret is not stored.
    secret_hash bytea not null,
    keyring_id text not null,
    created_at timestamptz not null,
    created_by text not null,
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    replaced_by text references api_key (id)
);
