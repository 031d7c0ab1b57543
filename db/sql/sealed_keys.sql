-- name: page_to_rewrap
-- Those that another key than $1 wrapped, after the referral $2. What somebody else holds at the
-- moment is left for the next round: a rotation never makes a referral wait.
select referral_id, keyring_id, wrapped, erased_at
from sealed_key
where keyring_id <> $1 and wrapped is not null and ($2::uuid is null or referral_id > $2)
order by referral_id
limit $3
for update skip locked

-- name: replace_wrapped
-- Only what was read is replaced: an erasure, or another rotation, that came first stands.
update sealed_key
set keyring_id = $1, wrapped = new.wrapped
from unnest($2::uuid[], $3::bytea[], $4::bytea[]) as new (referral_id, wrapped, old)
where sealed_key.referral_id = new.referral_id and sealed_key.wrapped = new.old

-- name: count_to_rewrap
select count(*) from sealed_key where keyring_id <> $1 and wrapped is not null

-- name: erase_sealed_key
-- The second erasure keeps the time of the first.
update sealed_key
set wrapped = null, erased_at = $2
where referral_id = $1 and erased_at is null

-- name: vacuum_sealed_keys
-- What was erased stays in the table's pages until they are cleaned. Not inside a transaction.
vacuum sealed_key
