-- Clinics and their offerings. The columns stand in the order of ClinicRow and OfferingRow.

-- name: find_clinics
-- By any of: ids, slugs, keys of import rows. Whatever their status.
select
    clinic.id, clinic.slug, clinic.status, clinic.merged_into, clinic.version, clinic.change_seq,
    clinic.name, clinic.organization_id, organization.name as organization_name, clinic.line1,
    clinic.line2, clinic.city, clinic.state, clinic.postal_code, clinic.country, clinic.lat,
    clinic.lon, clinic.point_source, clinic.point_precision, clinic.uncertainty_m,
    clinic.point_flags, clinic.time_zone, clinic.phone, clinic.email, clinic.website,
    clinic.director_name, clinic.director_credential, clinic.director_specialty,
    clinic.director_registration_system, clinic.director_registration_value, clinic.accepting,
    clinic.wait_days, clinic.weekly_capacity, clinic.payers, clinic.languages, clinic.age_min,
    clinic.age_max, clinic.assesses, clinic.telehealth, clinic.rems_certified,
    clinic.hours::text as hours, clinic.programmes, clinic.source_name, clinic.source_url,
    clinic.source_retrieved_on, clinic.source_licence, clinic.unverified,
    clinic.provenance::text as provenance, clinic.responsiveness::text as responsiveness,
    clinic.verified_at, clinic.import_key, clinic.import_hash, clinic.created_at,
    clinic.updated_at
from clinic
left join organization on organization.id = clinic.organization_id
where
    ($1::uuid[] is null or clinic.id = any($1))
    and ($2::text[] is null or clinic.slug = any($2))
    and ($3::text[] is null or clinic.import_key = any($3))
order by clinic.id

-- name: point_redirects_to
-- What was merged into $1 earlier leads to $2 from now on, in one step.
update clinic set merged_into = $2 where merged_into = $1

-- name: clinics_with_expired_claims
-- A claim is a field whose provenance says until when it stands.
select
    clinic.id, clinic.slug, clinic.status, clinic.merged_into, clinic.version, clinic.change_seq,
    clinic.name, clinic.organization_id, organization.name as organization_name, clinic.line1,
    clinic.line2, clinic.city, clinic.state, clinic.postal_code, clinic.country, clinic.lat,
    clinic.lon, clinic.point_source, clinic.point_precision, clinic.uncertainty_m,
    clinic.point_flags, clinic.time_zone, clinic.phone, clinic.email, clinic.website,
    clinic.director_name, clinic.director_credential, clinic.director_specialty,
    clinic.director_registration_system, clinic.director_registration_value, clinic.accepting,
    clinic.wait_days, clinic.weekly_capacity, clinic.payers, clinic.languages, clinic.age_min,
    clinic.age_max, clinic.assesses, clinic.telehealth, clinic.rems_certified,
    clinic.hours::text as hours, clinic.programmes, clinic.source_name, clinic.source_url,
    clinic.source_retrieved_on, clinic.source_licence, clinic.unverified,
    clinic.provenance::text as provenance, clinic.responsiveness::text as responsiveness,
    clinic.verified_at, clinic.import_key, clinic.import_hash, clinic.created_at,
    clinic.updated_at
from clinic
left join organization on organization.id = clinic.organization_id
where
    clinic.status = 'active'
    and clinic.provenance <> '{}'
    and exists (
        select from jsonb_each(clinic.provenance) as field (name, said)
        where (field.said ->> 'expires_at')::timestamptz <= $1
    )
order by clinic.id
limit $2

-- name: offerings_of_clinics
select
    id, clinic_id, position, drug, route, setting, conditions, coverage, initial_sessions,
    initial_days, session_minutes, monitoring_minutes, maintenance_days, price_amount,
    price_currency, price_per
from offering
where clinic_id = any($1::uuid[])
order by clinic_id, position

-- name: save_clinic
-- Written whole, whether it is there or not. Its id and the time it was made stay.
insert into clinic (
    id, slug, status, merged_into, version, change_seq, name, organization_id, line1, line2, city,
    state, postal_code, country, lat, lon, point_source, point_precision, uncertainty_m,
    point_flags, time_zone, phone, email, website, director_name, director_credential,
    director_specialty, director_registration_system, director_registration_value, accepting,
    wait_days, weekly_capacity, payers, languages, age_min, age_max, assesses, telehealth,
    rems_certified, hours, programmes, source_name, source_url, source_retrieved_on,
    source_licence, unverified, provenance, responsiveness, verified_at, import_key, import_hash,
    created_at, updated_at
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39,
    $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51, $52, $53
)
on conflict (id) do update set
    slug = excluded.slug, status = excluded.status, merged_into = excluded.merged_into,
    version = excluded.version, change_seq = excluded.change_seq, name = excluded.name,
    organization_id = excluded.organization_id, line1 = excluded.line1, line2 = excluded.line2,
    city = excluded.city, state = excluded.state, postal_code = excluded.postal_code,
    country = excluded.country, lat = excluded.lat, lon = excluded.lon,
    point_source = excluded.point_source, point_precision = excluded.point_precision,
    uncertainty_m = excluded.uncertainty_m, point_flags = excluded.point_flags,
    time_zone = excluded.time_zone, phone = excluded.phone, email = excluded.email,
    website = excluded.website, director_name = excluded.director_name,
    director_credential = excluded.director_credential,
    director_specialty = excluded.director_specialty,
    director_registration_system = excluded.director_registration_system,
    director_registration_value = excluded.director_registration_value,
    accepting = excluded.accepting, wait_days = excluded.wait_days,
    weekly_capacity = excluded.weekly_capacity, payers = excluded.payers,
    languages = excluded.languages, age_min = excluded.age_min, age_max = excluded.age_max,
    assesses = excluded.assesses, telehealth = excluded.telehealth,
    rems_certified = excluded.rems_certified, hours = excluded.hours,
    programmes = excluded.programmes, source_name = excluded.source_name,
    source_url = excluded.source_url, source_retrieved_on = excluded.source_retrieved_on,
    source_licence = excluded.source_licence, unverified = excluded.unverified,
    provenance = excluded.provenance, responsiveness = excluded.responsiveness,
    verified_at = excluded.verified_at,
    import_key = excluded.import_key, import_hash = excluded.import_hash,
    updated_at = excluded.updated_at

-- name: delete_offerings
delete from offering where clinic_id = any($1::uuid[])

-- name: insert_offering
insert into offering (
    id, clinic_id, position, drug, route, setting, conditions, coverage, initial_sessions,
    initial_days, session_minutes, monitoring_minutes, maintenance_days, price_amount,
    price_currency, price_per
) values (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
)

-- name: taken_slugs
-- Among the candidates. The slug of a deleted or merged clinic stays taken: links to it exist.
select slug from clinic where slug = any($1::text[])

-- name: imported_clinics
-- Every clinic, whatever its status, whose import key starts so: what an earlier import brought.
select id, status, merged_into, import_key, import_hash
from clinic
where starts_with(import_key, $1)
order by import_key

-- name: stale_clinics
-- Active clinics that nobody verified since $1, the never verified first, then the oldest.
-- $2 and $3 are the time and the id of the last one of the page before.
select
    id, slug, name, city, state, verified_at, updated_at, source_name, source_retrieved_on
from clinic
where
    status = 'active'
    and (verified_at is null or verified_at < $1)
    and (
        $3::uuid is null
        or (coalesce(verified_at, '-infinity'), id) > (coalesce($2::timestamptz, '-infinity'), $3)
    )
order by coalesce(verified_at, '-infinity'), id
limit $4

-- name: sites
-- What tells two records of one clinic apart from two clinics, for every active clinic.
select
    id, slug, name, line1, city, state, postal_code, lat, lon, point_precision, phone, website,
    director_registration_system, director_registration_value
from clinic
where status = 'active'
order by id
