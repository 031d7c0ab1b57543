-- Organizations. The slug of the name tells them apart, so that spelling in capitals or with
-- accents does not make a second one.

-- name: organizations_by_slug
select id, slug, name from organization where slug = any($1::text[])

-- name: insert_organization
insert into organization (id, slug, name, created_at) values ($1, $2, $3, $4)
