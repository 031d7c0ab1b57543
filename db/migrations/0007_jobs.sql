-- What the workers need beyond the tables of the referrals.
-- pre: adds an index and a table that nothing older reads.

-- A clinic's answers of the last year.
create index offer_answered on offer (clinic_id, opened_at) where first_answer_at is not null;

-- What is done now and then, by whichever worker comes first: when it was begun last.
create table duty (
    name text primary key,
    begun_at timestamptz not null
);

grant select, insert, update on duty to clinicway_worker;
