-- name: begin_sending
-- Who asks; then, unless a request with the same Idempotency-Key is under way, the locks of the
-- patient and conditions. What follows is done as the worker. Below zero when it is under way.
select
    case
        when pg_try_advisory_xact_lock($2) then (
            select count(pg_advisory_xact_lock(number)) from unnest($3::bigint[]) as number
        )
        else -1
    end,
    set_config('clinicway.principal', $1::text, true),
    set_config('clinicway.clinics', '{}', true),
    set_config('role', $4::text, true)

-- name: before_sending
-- A statement of its own: what is read under the locks must be of after they were had.
select
    now(), given.referral_id, given.request_hash, given.sealed as answer, key.keyring_id,
    key.wrapped, key.erased_at, open.id as duplicate
from (select) as always
left join idempotency as given on given.principal = $1 and given.key_hash = $2
left join sealed_key as key on key.referral_id = given.referral_id
left join lateral (
    -- All of them and then the first: in search of one alone the planner would walk the table.
    select (array_agg(referral.id order by referral.id))[1] as id
    from referral
    where referral.fingerprints && $3
        and referral.referrer = $1
        and referral.state not in ('completed', 'cancelled')
) as open on true

-- name: insert_referral
-- All that sending one writes. Rows come as JSON objects whose members are the tables' columns.
with said as (
    select * from json_populate_record(null::referral, $1::json)
),

made as (
    insert into referral (
        id, version, state, urgency, mode, referrer, offered_to, answer_by, retry_at, due_at,
        fingerprints, sealed, history_hash, created_at, updated_at
    )
    select
        id, version, state, urgency, mode, referrer, offered_to, answer_by, retry_at, due_at, $3,
        $2, history_hash, created_at, updated_at
    from said
),

keyed as (
    insert into sealed_key (referral_id, keyring_id, wrapped) select id, $4, $5 from said
),

answered as (
    insert into idempotency (principal, key_hash, request_hash, referral_id, sealed, created_at)
    select referrer, $6, $7, id, $8, created_at from said
),

offered as (
    insert into offer select * from json_populate_recordset(null::offer, $9::json)
),

told as (
    insert into notice (
        id, referral_id, version, event, audience, principal, clinic_id, offer_id, at,
        next_attempt_at
    )
    select id, referral_id, version, event, audience, principal, clinic_id, offer_id, at, at
    from json_populate_recordset(null::notice, $11::json)
)

insert into referral_history
select * from json_populate_recordset(null::referral_history, $10::json)

-- name: save_referral
-- All that a step writes but what it takes of a clinic's week. The version guards against a writer
-- that does not hold the row's lock.
with said as (
    select * from json_populate_record(null::referral, $1::json)
),

saved as (
    update referral
    set
        version = said.version, state = said.state, owner_clinic_id = said.owner_clinic_id,
        offered_to = said.offered_to, asked_by = said.asked_by, answer_by = said.answer_by,
        visit_booked = said.visit_booked, retry_at = said.retry_at, routed_since = said.routed_since, due_at = said.due_at,
        capacity_week = said.capacity_week, sealed = coalesce($3, referral.sealed),
        history_hash = said.history_hash, updated_at = said.updated_at,
        closed_at = said.closed_at
    from said
    where referral.id = said.id and referral.version = $2
    returning referral.id
),

offered as (
    insert into offer
    select * from json_populate_recordset(null::offer, $4::json)
    on conflict (id) do update set
        clinic_id = excluded.clinic_id, state = excluded.state, version = excluded.version,
        due_at = excluded.due_at, remind_at = excluded.remind_at,
        reminded_at = excluded.reminded_at, remaining = excluded.remaining,
        questions = excluded.questions, first_answer_at = excluded.first_answer_at,
        decided_at = excluded.decided_at, decline_reason = excluded.decline_reason,
        updated_at = excluded.updated_at
),

written as (
    insert into referral_history
    select * from json_populate_recordset(null::referral_history, $5::json)
),

told as (
    insert into notice (
        id, referral_id, version, event, audience, principal, clinic_id, offer_id, at,
        next_attempt_at
    )
    select id, referral_id, version, event, audience, principal, clinic_id, offer_id, at, at
    from json_populate_recordset(null::notice, $6::json)
)

select count(*) from saved

-- name: lock_referral
-- The moment is that of the transaction, but never before the last step: whoever waited for the
-- lock began earlier.
select
    referral.id, referral.version, referral.state, referral.urgency, referral.mode,
    referral.referrer, referral.owner_clinic_id, owner.name as owner_name, referral.asked_by,
    referral.answer_by, referral.visit_booked, referral.retry_at, referral.routed_since,
    referral.due_at, referral.capacity_week, referral.sealed, referral.history_hash, referral.created_at,
    referral.updated_at, referral.closed_at, key.keyring_id, key.wrapped, key.erased_at,
    greatest(now(), referral.updated_at) as now
from referral
join sealed_key as key on key.referral_id = referral.id
left join clinic as owner on owner.id = referral.owner_clinic_id
where referral.id = $1
for update of referral

-- name: referral_by_id
select
    referral.id, referral.version, referral.state, referral.urgency, referral.mode,
    referral.referrer, referral.owner_clinic_id, owner.name as owner_name, referral.asked_by,
    referral.answer_by, referral.visit_booked, referral.retry_at, referral.routed_since,
    referral.due_at, referral.capacity_week, referral.sealed, referral.history_hash, referral.created_at,
    referral.updated_at, referral.closed_at, key.keyring_id, key.wrapped, key.erased_at,
    greatest(now(), referral.updated_at) as now
from referral
join sealed_key as key on key.referral_id = referral.id
left join clinic as owner on owner.id = referral.owner_clinic_id
where referral.id = $1

-- name: referrals_by_id
select
    referral.id, referral.version, referral.state, referral.urgency, referral.mode,
    referral.referrer, referral.owner_clinic_id, owner.name as owner_name, referral.asked_by,
    referral.answer_by, referral.visit_booked, referral.retry_at, referral.routed_since,
    referral.due_at, referral.capacity_week, referral.sealed, referral.history_hash, referral.created_at,
    referral.updated_at, referral.closed_at, key.keyring_id, key.wrapped, key.erased_at,
    greatest(now(), referral.updated_at) as now
from referral
join sealed_key as key on key.referral_id = referral.id
left join clinic as owner on owner.id = referral.owner_clinic_id
where referral.id = any ($1)

-- name: page_of_referrals
-- Those of a referrer ($1) and of clinics ($2), each found by its own index; longest untouched
-- first, after ($7, $8). Overdue is what has waited for somebody for longer than the span of its
-- urgency ($9 urgent, $10 soon, $11 routine).
with mine as (
    (
        select id, updated_at
        from referral
        where referrer = $1
            and ($3::referral_state[] is null or state = any ($3))
            and ($5::timestamptz is null or updated_at >= $5)
            and ($4::boolean is null or $4 = (
                state in ('screening', 'offered', 'info_requested', 'accepted', 'unrouted')
                and updated_at < now() - case urgency
                    when 'urgent' then $9::interval when 'soon' then $10 else $11 end
            ))
            and ($7::timestamptz is null or (updated_at, id) > ($7, $8::uuid))
        order by updated_at, id
        limit $6
    )
    union
    (
        select id, updated_at
        from referral
        where owner_clinic_id = any ($2::uuid[])
            and ($3 is null or state = any ($3))
            and ($5 is null or updated_at >= $5)
            and ($4 is null or $4 = (
                state in ('screening', 'offered', 'info_requested', 'accepted', 'unrouted')
                and updated_at < now() - case urgency
                    when 'urgent' then $9 when 'soon' then $10 else $11 end
            ))
            and ($7 is null or (updated_at, id) > ($7, $8))
        order by updated_at, id
        limit $6
    )
    union
    (
        select referral.id, referral.updated_at
        from offer
        join referral on referral.id = offer.referral_id
        where offer.clinic_id = any ($2)
            and offer.state = 'open'
            and (offer.due_at is null or offer.due_at > now())
            and ($3 is null or referral.state = any ($3))
            and ($5 is null or referral.updated_at >= $5)
            and ($4 is null or $4 = (
                referral.state in ('screening', 'offered', 'info_requested', 'accepted', 'unrouted')
                and referral.updated_at < now() - case referral.urgency
                    when 'urgent' then $9 when 'soon' then $10 else $11 end
            ))
            and ($7 is null or (referral.updated_at, referral.id) > ($7, $8))
        order by referral.updated_at, referral.id
        limit $6
    )
)

select
    referral.id, referral.version, referral.state, referral.urgency, referral.mode,
    referral.referrer, referral.owner_clinic_id, owner.name as owner_name, referral.asked_by,
    referral.answer_by, referral.visit_booked, referral.retry_at, referral.routed_since,
    referral.due_at, referral.capacity_week, referral.sealed, referral.history_hash, referral.created_at,
    referral.updated_at, referral.closed_at, key.keyring_id, key.wrapped, key.erased_at,
    greatest(now(), referral.updated_at) as now
from mine
join referral on referral.id = mine.id
join sealed_key as key on key.referral_id = referral.id
left join clinic as owner on owner.id = referral.owner_clinic_id
order by mine.updated_at, mine.id
limit $6

-- name: held_by_clinic
-- What a clinic was offered and has not answered, and what it owns and has not ended.
select id
from referral
where offered_to @> array[$1::uuid]
    or (owner_clinic_id = $1 and state in ('accepted', 'scheduled', 'in_treatment'))
order by id

-- name: tracked_referral
-- What its tracking link shows.
select
    referral.state, referral.visit_booked, referral.created_at, referral.updated_at,
    (
        select max(offer.due_at) from offer
        where offer.referral_id = referral.id and offer.state = 'open'
    ) as decide_by,
    key.erased_at
from referral
join sealed_key as key on key.referral_id = referral.id
where referral.id = $1

-- name: forget_answers
-- A batch at a time: whoever deletes holds up nobody for long.
delete from idempotency
where (principal, key_hash) in (
    select principal, key_hash from idempotency where created_at < $1 limit $2
)
