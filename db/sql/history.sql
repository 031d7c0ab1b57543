-- name: history_of_referral
select
    line.referral_id, line.version, line.at, line.event, line.role, line.actor, line.from_state,
    line.to_state, line.offer_id, line.clinic_id, clinic.name as clinic_name, line.reason,
    line.sealed, line.keyring_id, line.hash
from referral_history as line
left join clinic on clinic.id = line.clinic_id
where line.referral_id = $1
order by line.version

-- name: history_of_referrals
-- For a page of offers: what was said about each of them.
select
    line.referral_id, line.version, line.at, line.event, line.role, line.actor, line.from_state,
    line.to_state, line.offer_id, line.clinic_id, clinic.name as clinic_name, line.reason,
    line.sealed, line.keyring_id, line.hash
from referral_history as line
left join clinic on clinic.id = line.clinic_id
where line.referral_id = any ($1)
order by line.referral_id, line.version
