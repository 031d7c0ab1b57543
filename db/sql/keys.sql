-- name: insert_key
insert into api_key
    (id, name, scopes, secret_hash, keyring_id, created_at, created_by, expires_at, principal, email)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
returning
    id, name, scopes, secret_hash, keyring_id, created_at, created_by, last_used_at, expires_at,
    revoked_at, replaced_by, principal, email

-- name: key_by_id
select
    id, name, scopes, secret_hash, keyring_id, created_at, created_by, last_used_at, expires_at,
    revoked_at, replaced_by, principal, email
from api_key
where id = $1

-- name: lock_key
-- For a rotation: two of them at once would leave one new key that nobody knows replaced what.
select
    id, name, scopes, secret_hash, keyring_id, created_at, created_by, last_used_at, expires_at,
    revoked_at, replaced_by, principal, email
from api_key
where id = $1 for update

-- name: page_of_keys
-- Newest first. Ids are UUIDv7, so their order is the order in which the keys were made.
select
    id, name, scopes, secret_hash, keyring_id, created_at, created_by, last_used_at, expires_at,
    revoked_at, replaced_by, principal, email
from api_key
where ($1::text is null or id < $1)
    and ($2::boolean or (revoked_at is null and (expires_at is null or expires_at > $3)))
order by id desc
limit $4

-- name: revoke_key
-- A second revocation keeps the time of the first.
update api_key
set revoked_at = coalesce(revoked_at, $2)
where id = $1
returning
    id, name, scopes, secret_hash, keyring_id, created_at, created_by, last_used_at, expires_at,
    revoked_at, replaced_by, principal, email

-- name: retire_key
-- A replaced key goes on working until $3, or until the earlier end that it had.
update api_key
set replaced_by = $2, expires_at = least(expires_at, $3)
where id = $1
returning
    id, name, scopes, secret_hash, keyring_id, created_at, created_by, last_used_at, expires_at,
    revoked_at, replaced_by, principal, email

-- name: keys_still_working
-- Of the line of a key, those that were replaced and have not ended yet; not the key itself.
select
    other.id, other.name, other.scopes, other.secret_hash, other.keyring_id, other.created_at,
    other.created_by, other.last_used_at, other.expires_at, other.revoked_at, other.replaced_by,
    other.principal, other.email
from api_key as key
join api_key as other on other.principal = key.principal and other.id <> key.id
where
    key.id = $1
    and other.replaced_by is not null
    and other.revoked_at is null
    and (other.expires_at is null or other.expires_at > $2)
order by other.id

-- name: note_key_use
-- At most once a minute over all processes: a busy key must not make a row version a request.
update api_key
set last_used_at = $2
where id = $1 and (last_used_at is null or last_used_at < $2::timestamptz - interval '1 minute')
