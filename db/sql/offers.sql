-- name: referral_of_offer
select referral_id from offer where id = $1

-- name: offers_of_referral
select
    offer.id, offer.referral_id, offer.referrer, offer.clinic_id, clinic.name as clinic_name,
    offer.state, offer.version, offer.sequential, offer.opened_at, offer.due_at, offer.remind_at,
    offer.reminded_at, offer.remaining, offer.questions, offer.first_answer_at, offer.decided_at,
    offer.decline_reason, offer.updated_at
from offer
join clinic on clinic.id = offer.clinic_id
where offer.referral_id = $1
order by offer.opened_at, offer.id

-- name: offers_of_referrals
select
    offer.id, offer.referral_id, offer.referrer, offer.clinic_id, clinic.name as clinic_name,
    offer.state, offer.version, offer.sequential, offer.opened_at, offer.due_at, offer.remind_at,
    offer.reminded_at, offer.remaining, offer.questions, offer.first_answer_at, offer.decided_at,
    offer.decline_reason, offer.updated_at
from offer
join clinic on clinic.id = offer.clinic_id
where offer.referral_id = any ($1)
order by offer.referral_id, offer.opened_at, offer.id

-- name: offer_by_id
select
    offer.id, offer.referral_id, offer.referrer, offer.clinic_id, clinic.name as clinic_name,
    offer.state, offer.version, offer.sequential, offer.opened_at, offer.due_at, offer.remind_at,
    offer.reminded_at, offer.remaining, offer.questions, offer.first_answer_at, offer.decided_at,
    offer.decline_reason, offer.updated_at
from offer
join clinic on clinic.id = offer.clinic_id
where offer.id = $1 and offer.clinic_id = any ($2)

-- name: page_of_offers
-- Those made to the clinics $1, longest untouched first, after ($4, $5).
select
    offer.id, offer.referral_id, offer.referrer, offer.clinic_id, clinic.name as clinic_name,
    offer.state, offer.version, offer.sequential, offer.opened_at, offer.due_at, offer.remind_at,
    offer.reminded_at, offer.remaining, offer.questions, offer.first_answer_at, offer.decided_at,
    offer.decline_reason, offer.updated_at
from offer
join clinic on clinic.id = offer.clinic_id
where offer.clinic_id = any ($1)
    and ($2::offer_state[] is null or offer.state = any ($2))
    and ($4::timestamptz is null or (offer.updated_at, offer.id) > ($4, $5::uuid))
order by offer.updated_at, offer.id
limit $3
