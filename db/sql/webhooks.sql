-- name: hold_principal
-- Until the transaction ends, nobody else makes a webhook for this line of keys: they are counted.
select pg_advisory_xact_lock(hashtextextended('webhooks of ' || $1::text, 0))

-- name: count_subscriptions
select count(*) from webhook_subscription where principal = $1

-- name: insert_subscription
insert into webhook_subscription
    (id, principal, clinics, url, description, events, secret, secret_keyring_id)
values ($1, $2, $3, $4, $5, $6, $7, $8)
returning
    id, url, description, events, created_at,
    case when previous_until > now() then previous_until end as previous_until,
    disabled_at, disabled_reason

-- name: page_of_subscriptions
-- Newest first. Ids are UUIDv7, so their order is the order in which the webhooks were made.
select
    id, url, description, events, created_at,
    case when previous_until > now() then previous_until end as previous_until,
    disabled_at, disabled_reason
from webhook_subscription
where principal = $1 and ($2::uuid is null or id < $2)
order by id desc
limit $3

-- name: subscription_by_id
select
    id, url, description, events, created_at,
    case when previous_until > now() then previous_until end as previous_until,
    disabled_at, disabled_reason
from webhook_subscription
where id = $1 and principal = $2

-- name: lock_own_subscription
-- Whoever holds a webhook and then its messages comes in this order, or two would wait for each
-- other.
select
    id, url, description, events, created_at,
    case when previous_until > now() then previous_until end as previous_until,
    disabled_at, disabled_reason
from webhook_subscription
where id = $1 and principal = $2
for no key update

-- name: lock_secret
select id, secret, secret_keyring_id
from webhook_subscription
where id = $1 and principal = $2
for no key update

-- name: replace_secret
update webhook_subscription
set
    secret = $2,
    secret_keyring_id = $3,
    previous_secret = $4,
    previous_keyring_id = $5,
    previous_until = now() + make_interval(secs => $6)
where id = $1
returning
    id, url, description, events, created_at,
    case when previous_until > now() then previous_until end as previous_until,
    disabled_at, disabled_reason

-- name: delete_subscription
delete from webhook_subscription where id = $1 and principal = $2

-- name: enable_subscription
update webhook_subscription
set disabled_at = null, disabled_reason = null, quiet_until = null
where id = $1 and principal = $2
returning
    id, url, description, events, created_at,
    case when previous_until > now() then previous_until end as previous_until,
    disabled_at, disabled_reason

-- name: subscriptions_for
-- The webhooks that hear of an event of type $4: those of the line of keys $1, those of a line that
-- speaks for the clinic $2, or all of them; and only while a key of the line still works. The lock
-- keeps a webhook from being deleted before its message is written, which would fail the caller.
select subscription.id, subscription.principal
from webhook_subscription as subscription
where
    subscription.disabled_at is null
    and (subscription.events is null or $4::text = any (subscription.events))
    and (
        $3::boolean
        or subscription.principal = $1::text
        or subscription.clinics @> array[$2::uuid]
    )
    and exists (
        select from api_key as key
        where
            key.principal = subscription.principal
            and key.revoked_at is null
            and (key.expires_at is null or key.expires_at > now())
            and (
                $3::boolean
                or subscription.principal = $1::text
                or 'clinic:' || $2::uuid = any (key.scopes)
            )
    )
order by subscription.id
for key share of subscription

-- name: insert_deliveries
-- Twice from one source is once.
insert into webhook_delivery
    (id, subscription_id, principal, event_type, subject_kind, subject_id, source, payload)
select each.id, each.subscription_id, each.principal, $4, $5, $6, $7, $8
from unnest($1::uuid[], $2::uuid[], $3::text[]) as each (id, subscription_id, principal)
on conflict (subscription_id, source) do nothing

-- name: delivery_by_id
-- What waits is not tried before the webhook's pause is over.
select
    delivery.id, delivery.event_type, delivery.subject_kind, delivery.subject_id, delivery.state,
    delivery.attempts, delivery.created_at,
    case when delivery.next_attempt_at is not null
        then greatest(delivery.next_attempt_at, subscription.quiet_until)
    end as next_attempt_at,
    delivery.last_attempt_at, delivery.last_status, delivery.last_fault, delivery.delivered_at,
    delivery.dead_at
from webhook_delivery as delivery
join webhook_subscription as subscription on subscription.id = delivery.subscription_id
where delivery.id = $1 and delivery.subscription_id = $2

-- name: page_of_deliveries
-- Newest first.
select
    delivery.id, delivery.event_type, delivery.subject_kind, delivery.subject_id, delivery.state,
    delivery.attempts, delivery.created_at,
    case when delivery.next_attempt_at is not null
        then greatest(delivery.next_attempt_at, subscription.quiet_until)
    end as next_attempt_at,
    delivery.last_attempt_at, delivery.last_status, delivery.last_fault, delivery.delivered_at,
    delivery.dead_at
from webhook_delivery as delivery
join webhook_subscription as subscription on subscription.id = delivery.subscription_id
where
    delivery.subscription_id = $1
    and ($2::delivery_state is null or delivery.state = $2)
    and ($3::uuid is null or delivery.id < $3)
order by delivery.id desc
limit $4

-- name: deliveries_among
select id from webhook_delivery where subscription_id = $1 and id = any ($2::uuid[])

-- name: replay_deliveries
-- Under the same ids; what is pending is on its way anyway.
update webhook_delivery
set state = 'pending', tries = 0, next_attempt_at = now(), delivered_at = null, dead_at = null
where
    subscription_id = $1
    and state <> 'pending'
    and ($2::delivery_state is null or state = $2)
    and (created_at >= $3::timestamptz or id = any ($4::uuid[]))

-- name: claim_due
-- A few of each webhook, so that one with thousands of messages does not keep the others waiting.
-- A claim is an attempt that has begun: it is written down before anything is sent, and comes due
-- again by itself if whoever made it is never heard of again.
with due as (
    select each.id
    from webhook_subscription as subscription
    cross join lateral (
        select delivery.id, delivery.next_attempt_at
        from webhook_delivery as delivery
        where
            delivery.subscription_id = subscription.id
            and delivery.state = 'pending'
            and delivery.next_attempt_at <= now()
        order by delivery.next_attempt_at, delivery.id
        limit $2
        for update skip locked
    ) as each
    where subscription.quiet_until is null or subscription.quiet_until <= now()
    order by each.next_attempt_at, each.id
    limit $1
)
update webhook_delivery as delivery
set
    attempts = delivery.attempts + 1,
    tries = delivery.tries + 1,
    last_attempt_at = now(),
    next_attempt_at = now() + make_interval(secs => $3)
from due, webhook_subscription as subscription
where delivery.id = due.id and subscription.id = delivery.subscription_id
returning
    delivery.id,
    delivery.subscription_id,
    delivery.attempts,
    delivery.tries,
    delivery.payload,
    subscription.url,
    subscription.secret,
    subscription.secret_keyring_id,
    case when subscription.previous_until > now() then subscription.previous_secret end
        as previous_secret,
    case when subscription.previous_until > now() then subscription.previous_keyring_id end
        as previous_keyring_id,
    subscription.disabled_at is not null as disabled,
    exists (
        select from api_key as key
        where
            key.principal = subscription.principal
            and key.revoked_at is null
            and (key.expires_at is null or key.expires_at > now())
    ) as key_lives

-- name: lock_subscription
select id from webhook_subscription where id = $1 for no key update

-- name: mark_delivered
-- Nothing, when another attempt has begun since.
update webhook_delivery
set
    state = 'delivered',
    delivered_at = now(),
    next_attempt_at = null,
    last_status = $3,
    last_fault = null
where id = $1 and attempts = $2 and state = 'pending'

-- name: mark_dead
update webhook_delivery
set
    state = 'dead',
    dead_at = now(),
    next_attempt_at = null,
    last_status = $3,
    last_fault = $4
where id = $1 and attempts = $2 and state = 'pending'

-- name: put_off
update webhook_delivery
set
    next_attempt_at = now() + make_interval(secs => $3),
    last_status = $4,
    last_fault = $5
where id = $1 and attempts = $2 and state = 'pending'

-- name: hush_subscription
-- An earlier pause that lasts longer stays.
update webhook_subscription
set quiet_until = greatest(quiet_until, now() + make_interval(secs => $2))
where id = $1

-- name: disable_subscription
update webhook_subscription
set disabled_at = now(), disabled_reason = $2
where id = $1 and disabled_at is null

-- name: end_pending
-- Of a webhook that was disabled.
update webhook_delivery
set
    state = 'dead', dead_at = now(), next_attempt_at = null, last_fault = 'webhook_disabled'
where subscription_id = $1 and state = 'pending'

-- name: forget_deliveries
-- In bites, so that no lock is held for long.
delete from webhook_delivery
where id in (
    select id from webhook_delivery
    where state <> 'pending' and created_at < now() - make_interval(secs => $1)
    order by created_at
    limit $2
)
