-- name: clinics_to_measure
-- Those that have answered within a year, and those of which something is shown.
select clinic.id
from clinic
where
    clinic.status = 'active'
    and ($1::uuid is null or clinic.id > $1)
    and (
        clinic.responsiveness is not null
        or exists (
            select from offer
            where
                offer.clinic_id = clinic.id
                and offer.first_answer_at is not null
                and offer.opened_at > now() - interval '365 days'
        )
    )
order by clinic.id
limit $2

-- name: answers_of
-- The first word of a clinic counts, also when it was a question; a share is of the decisions.
select
    offer.clinic_id,
    count(*) as answers,
    percentile_cont(0.5) within group (
        order by extract(epoch from offer.first_answer_at - offer.opened_at)
    )::double precision as median_seconds,
    count(*) filter (where offer.state = 'accepted') as accepted,
    count(*) filter (where offer.state = 'declined') as declined,
    coalesce(
        array_agg(offer.decline_reason order by offer.decline_reason)
            filter (where offer.decline_reason is not null),
        '{}'
    ) as reasons
from offer
where
    offer.clinic_id = any ($1::uuid[])
    and offer.first_answer_at is not null
    and offer.opened_at > now() - interval '365 days'
group by offer.clinic_id
