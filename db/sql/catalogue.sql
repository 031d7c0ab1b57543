-- The catalogues of the release, as the API reads them at start.

-- name: catalogue_entries
select kind, code, document from catalogue_entry order by kind, position

-- name: remove_other_catalogue_entries
-- Everything that is not among the pairs of kind and code.
delete from catalogue_entry
where not exists (
    select from unnest($1::text[], $2::text[]) as kept (kind, code)
    where kept.kind = catalogue_entry.kind and kept.code = catalogue_entry.code
)

-- name: put_catalogue_entries
-- An entry that stays the same is not written, so a start without news leaves no dead rows.
insert into catalogue_entry (kind, code, position, document)
select * from unnest($1::text[], $2::text[], $3::integer[], $4::jsonb[])
on conflict (kind, code) do update
set position = excluded.position, document = excluded.document
where (catalogue_entry.position, catalogue_entry.document)
    is distinct from (excluded.position, excluded.document)
