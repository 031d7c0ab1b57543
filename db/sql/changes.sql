-- The log of the directory. What is committed here is what the index, the feed and the webhooks read.

-- name: lock_directory
-- Taken before anything is read that a write depends on, and held until the commit: numbers are
-- then without gaps and in commit order. Reads never ask for it.
select pg_advisory_xact_lock(7165064744911531)

-- name: append_changes
-- Numbers the rows in the order given, and gives the number of the last one. The notification is
-- sent by PostgreSQL at the commit.
with newest as (
    select coalesce(max(seq), 0) as seq from directory_change
),
added as (
    insert into directory_change (seq, kind, clinic_id, merged_into, at, actor, profile)
    select newest.seq + item.number, item.kind, item.clinic_id, item.merged_into, $5, $6, item.profile
    from
        newest,
        unnest($1::change_kind[], $2::uuid[], $3::uuid[], $4::text[])
            with ordinality as item (kind, clinic_id, merged_into, profile, number)
    returning seq
),
last as (
    select max(seq) as seq from added
)
select last.seq, pg_notify('directory_change', last.seq::text) from last

-- name: newest_change
select coalesce(max(seq), 0) from directory_change

-- name: changes_after
select seq, kind, clinic_id, merged_into, at, actor, profile
from directory_change
where seq > $1
order by seq
limit $2

-- name: changes_of_clinic
-- Newest first; $2 is the number to go on below.
select seq, kind, clinic_id, merged_into, at, actor, profile
from directory_change
where clinic_id = $1 and ($2::bigint is null or seq < $2)
order by seq desc
limit $3

-- name: live_profiles
-- In batches by id, inside one repeatable-read snapshot together with newest_change.
select clinic.id as clinic_id, directory_change.profile
from clinic
join directory_change on directory_change.seq = clinic.change_seq
where clinic.status = 'active' and ($1::uuid is null or clinic.id > $1)
order by clinic.id
limit $2

-- name: redirects
select id as clinic_id, slug, merged_into
from clinic
where status = 'merged'
