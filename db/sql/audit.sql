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
where ($1::text is null or entry.object_id = $1 or entry.related @> array[$1])
    and ($2::text[] is null or entry.actor = any($2) or entry.principal = any($2))
    and ($3::timestamptz is null or entry.at >= $3)
    and ($4::uuid is null or entry.id < $4)
order by entry.id desc
limit $5
