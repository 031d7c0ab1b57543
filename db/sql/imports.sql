-- What the imports know of the clinics they wrote. A key is what a row is called in its source.

-- name: import_marks
-- Clinics of any status: one that a person deleted or merged must not come back.
select import_key, import_hash, status
from clinic
where import_key = any($1::text[])

-- name: imported_from
-- Active clinics whose key begins so; ^@ is "starts with" and, unlike like, knows no wildcards.
select import_key, slug
from clinic
where status = 'active' and import_key ^@ $1
