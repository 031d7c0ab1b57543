-- name: forget_fingerprints
update referral set fingerprints = '{}' where id = $1

-- name: page_to_erase
-- Closed before $1 and still readable, the longest closed first.
select referral.id
from referral
join sealed_key on sealed_key.referral_id = referral.id
where referral.closed_at < $1 and sealed_key.wrapped is not null
order by referral.closed_at, referral.id
limit $2
