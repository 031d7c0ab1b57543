-- name: read_key_use
-- What a key of the keyring ($1) is needed for, as far as the owner of the tables sees it. Chains
-- can be long: whether there is one link is enough.
select
    (
        select count(*) from api_key
        where keyring_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
    ) as api_keys,
    exists (select from audit_entry where keyring_id = $1)
        or exists (select from audit_lane where keyring_id = $1) as audit

-- name: read_patient_key_use
-- The same of what row-level security shows to the worker alone. Fingerprints begin with $2. $3
-- is when the key stopped being the active one: a referral that was open then may have handed out
-- links made with it.
select
    (
        select count(*) from sealed_key where keyring_id = $1 and wrapped is not null
    ) as sealed_keys,
    (
        select count(*) from webhook_subscription
        where secret_keyring_id = $1 or (previous_keyring_id = $1 and previous_until > now())
    ) as webhooks,
    (
        select count(*) from referral
        where closed_at is null and exists (
            select from unnest(fingerprints) as fingerprint
            where substring(fingerprint from 1 for 4) = $2::bytea
        )
    ) as fingerprints,
    (
        select count(*) from referral
        where closed_at is null and created_at < $3::timestamptz
    ) as links,
    exists (select from referral_history where keyring_id = $1) as history

-- name: webhook_secrets_to_rewrap
-- Those that another key than $1 sealed, after the webhook $2.
select id, secret, secret_keyring_id, previous_secret, previous_keyring_id
from webhook_subscription
where (secret_keyring_id <> $1 or previous_keyring_id <> $1) and ($2::uuid is null or id > $2)
order by id
limit $3
for no key update

-- name: replace_webhook_secrets
update webhook_subscription
set secret = $2, secret_keyring_id = $3, previous_secret = $4, previous_keyring_id = $5
where id = $1
