-- name: insert_sealed_key
insert into sealed_key (referral_id, keyring_id, wrapped) values ($1, $2, $3)

-- name: sealed_key_of
select referral_id, keyring_id, wrapped, erased_at from sealed_key where referral_id = $1

-- name: sealed_keys_of
-- For a page of referrals.
select referral_id, keyring_id, wrapped, erased_at from sealed_key where referral_id = any ($1)

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
set keyring_id = $2, wrapped = $3
where referral_id = $1 and wrapped = $4

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
