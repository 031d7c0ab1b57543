-- What the workers look for several times a second has an index of its own.
-- pre: adds indexes to tables that nothing older reads.

-- A referral that is for matching at once, and whose job was lost.
create index referral_to_route on referral (updated_at)
    where state = 'matching' and due_at is null;

-- A clinic's answers of the last year.
create index offer_answered on offer (clinic_id, opened_at) where first_answer_at is not null;
