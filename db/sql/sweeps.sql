-- What the workers look for: whatever is due by the database's clock, whether or not the queue
-- said so.

-- name: claim_due_referrals
-- Those on which something has to happen, longest due first, that no other worker has taken. The
-- advisory lock of each is held until the transaction ends, so a worker that dies gives it back.
-- $1 are those that failed a moment ago and wait.
with due as materialized (
    select id
    from referral
    where due_at <= now() and id <> all ($1::uuid[])
    order by due_at
    limit $3
)
select id from due where pg_try_advisory_xact_lock(hashtextextended('referral ' || id, 0)) limit $2

-- name: still_due
-- In the transaction of the claim: what was due at its beginning and still is.
select id from referral where id = any ($1::uuid[]) and due_at <= now()

-- name: take_reader
-- How far the log was read; nothing while another worker is reading it.
select seq from directory_reader where name = 'referrals' for update skip locked

-- name: move_reader
update directory_reader set seq = $1 where name = 'referrals'

-- name: clinics_with_referrals
-- Those of the clinics that are asked about a referral or look after one, with the number of the
-- newest change of each.
select clinic.id as clinic_id, clinic.change_seq
from clinic
where
    clinic.id = any ($1::uuid[])
    and (
        exists (
            select from referral
            where offered_to <> '{}' and offered_to @> array[clinic.id]
        )
        or exists (
            select from referral
            where
                owner_clinic_id = clinic.id
                and state in ('accepted', 'scheduled', 'in_treatment')
        )
    )

-- name: backlog
-- How much of what is due was not done yet, and since when the oldest waits.
select
    (
        select coalesce(extract(epoch from now() - min(due_at)), 0)::double precision
        from referral
        where due_at <= now()
    ) as referral_lag,
    (
        select coalesce(extract(epoch from now() - min(next_attempt_at)), 0)::double precision
        from notice
        where next_attempt_at <= now()
    ) as notice_lag,
    (select count(*) from pgqueuer where status = 'queued') as queued,
    (select count(*) from pgqueuer where status = 'picked') as taken

-- name: forget_finished_jobs
-- The queue's library logs each job three times, and deletes nothing.
with old as (
    select id from pgqueuer_log where created < now() - interval '1 day' order by created limit $1
)
delete from pgqueuer_log using old where pgqueuer_log.id = old.id

-- name: begin_duty
-- Nothing when somebody began it less than $2 seconds ago.
insert into duty (name, begun_at)
values ($1, now())
on conflict (name) do update
set begun_at = excluded.begun_at
where duty.begun_at <= excluded.begun_at - make_interval(secs => $2)
returning name
