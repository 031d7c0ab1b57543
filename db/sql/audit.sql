-- The audit trail, which only grows.

-- name: lock_lane
-- Whoever appends to a lane waits here for whoever is doing so.
select lane, entries, last_mac, keyring_id, mac from audit_lane where lane = $1 for update

-- name: open_lanes
insert into audit_lane (lane, entries, last_mac, keyring_id, mac)
select lane, 0, '', $2, mac from unnest($1::smallint[], $3::bytea[]) as new (lane, mac)
on conflict (lane) do nothing

-- name: append_entry
with moved as (
    update audit_lane
    set entries = $2, last_mac = $15, keyring_id = $14, mac = $16
    where lane = $1
    returning lane
)
insert into audit_entry
    (lane, number, id, at, actor, principal, action, object_kind, object_id, related, request_id,
        outcome, resumed, keyring_id, mac)
select lane, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15 from moved

-- name: lanes
select lane, entries, last_mac, keyring_id, mac from audit_lane order by lane

-- name: entries_of_lane
select
    lane, number, id, at, actor, principal, action, object_kind, object_id, related, request_id,
    outcome, resumed, keyring_id, mac
from audit_entry
where lane = $1 and number > $2
order by number
limit $3

-- name: page_of_entries
-- Newest first: ids are UUIDv7, so their order is that of the requests.
select
    entry.lane, entry.number, entry.id, entry.at, entry.actor, entry.principal, entry.action,
    entry.object_kind, entry.object_id, entry.related, entry.request_id, entry.outcome,
    entry.resumed, entry.keyring_id, entry.mac, before.mac as previous_mac
from audit_entry as entry
left join audit_entry as before
    on before.lane = entry.lane and before.number = entry.number - 1
where ($1::text[] is null or entry.actor = any($1) or entry.principal = any($1))
    and ($2::timestamptz is null or entry.at >= $2)
    and ($3::uuid is null or entry.id < $3)
order by entry.id desc
limit $4

-- name: page_of_entries_about
-- The same of one object ($5). A statement of its own, which finds them by their indexes first: in
-- one with the above the planner goes through all the trail in its order instead.
with about as materialized (
    select id, at, actor, principal from audit_entry where object_id = $5::text
    union
    select id, at, actor, principal from audit_entry where related @> array[$5::text]
),
page as materialized (
    select id from about
    where ($1::text[] is null or actor = any($1) or principal = any($1))
        and ($2::timestamptz is null or at >= $2)
        and ($3::uuid is null or id < $3)
    order by id desc
    limit $4
)
select
    entry.lane, entry.number, entry.id, entry.at, entry.actor, entry.principal, entry.action,
    entry.object_kind, entry.object_id, entry.related, entry.request_id, entry.outcome,
    entry.resumed, entry.keyring_id, entry.mac, before.mac as previous_mac
from page
join audit_entry as entry on entry.id = page.id
left join audit_entry as before
    on before.lane = entry.lane and before.number = entry.number - 1
order by entry.id desc
