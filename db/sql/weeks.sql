-- name: taken_in_weeks
-- Of the clinic at each position, how many it took in the week at that position.
select week.clinic_id, week.week, week.taken
from clinic_week as week
join unnest($1::uuid[], $2::date[]) as wanted (clinic_id, week)
    on wanted.clinic_id = week.clinic_id and wanted.week = week.week

-- name: place_of_clinic
select time_zone, weekly_capacity from clinic where id = $1

-- name: take_place
-- One place more, if the profile as it is now has one: the row's lock makes accepts that come at
-- once wait for each other. No row when there is none left.
insert into clinic_week (clinic_id, week, taken)
select clinic.id, $2, 1
from clinic
where clinic.id = $1 and (clinic.weekly_capacity is null or clinic.weekly_capacity > 0)
on conflict (clinic_id, week) do update
set taken = clinic_week.taken + 1
where clinic_week.taken < (
    select coalesce(clinic.weekly_capacity, 2147483647) from clinic where clinic.id = $1
)
returning taken

-- name: free_place
update clinic_week set taken = taken - 1 where clinic_id = $1 and week = $2 and taken > 0

-- name: move_place
-- To the clinic that the first one was merged into, whether it has a place left or not: the
-- patient is in its care.
with freed as (
    update clinic_week set taken = taken - 1 where clinic_id = $1 and week = $3 and taken > 0
)

insert into clinic_week (clinic_id, week, taken) values ($2, $4, 1)
on conflict (clinic_id, week) do update set taken = clinic_week.taken + 1
