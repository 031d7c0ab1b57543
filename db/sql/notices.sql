-- name: claim_notices
-- A claim is an attempt that has begun: it is written down before anything is sent, and comes due
-- again by itself if whoever made it is never heard of again. $3 narrows it to one referral.
with due as (
    select id
    from notice
    where next_attempt_at <= now() and ($3::uuid is null or referral_id = $3)
    order by next_attempt_at, id
    limit $1
    for update skip locked
)
update notice
set attempts = attempts + 1, next_attempt_at = now() + make_interval(secs => $2)
from due
where notice.id = due.id
returning
    notice.id, notice.referral_id, notice.version, notice.event, notice.audience,
    notice.principal, notice.clinic_id, notice.offer_id, notice.at, notice.attempts

-- name: notice_contexts
-- Where to send them, and what a webhook says of each. A reminder is no step: its version is that
-- of the step before. The sealed part is asked for only where the address can stand in it alone.
select
    notice.id,
    coalesce(step.to_state, referral.state) as state,
    step.offer_id as step_offer_id,
    step.clinic_id as step_clinic_id,
    address.email,
    exists (
        select from webhook_subscription as webhook
        where webhook.principal = notice.principal or webhook.clinics @> array[notice.clinic_id]
    ) as has_webhooks,
    case when sealed.wanted then referral.sealed end as sealed,
    case when sealed.wanted then sealed_key.keyring_id end as keyring_id,
    case when sealed.wanted then sealed_key.wrapped end as wrapped
from notice
join referral on referral.id = notice.referral_id
left join referral_history as step
    on step.referral_id = notice.referral_id and step.version = notice.version
left join sealed_key on sealed_key.referral_id = notice.referral_id
left join lateral (
    select case notice.audience
        when 'clinic' then (select clinic.email from clinic where clinic.id = notice.clinic_id)
        when 'referrer' then (
            select key.email
            from api_key as key
            where
                key.principal = notice.principal
                and key.email is not null
                and key.revoked_at is null
                and (key.expires_at is null or key.expires_at > now())
            order by key.created_at desc, key.id
            limit 1
        )
    end as email
) as address on true
cross join lateral (
    select
        notice.audience = 'patient' or (notice.audience = 'referrer' and address.email is null)
            as wanted
) as sealed
where notice.id = any ($1::uuid[])

-- name: note_attempts
-- What came of each, unless a newer attempt has begun. Without a pause there is no other attempt:
-- it was sent, or is given up.
update notice
set
    sent_at = case when said.outcome = 'sent' then now() end,
    given_up_at = case when said.outcome <> 'sent' and said.pause is null then now() end,
    next_attempt_at = now() + make_interval(secs => said.pause),
    outcome = said.outcome
from unnest($1::uuid[], $2::integer[], $3::text[], $4::double precision[])
    as said (id, attempts, outcome, pause)
where
    notice.id = said.id
    and notice.attempts = said.attempts
    and notice.next_attempt_at is not null
returning notice.id
