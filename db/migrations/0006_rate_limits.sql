-- How often whom came in which minute, of all server processes together.
-- pre: adds a table; nothing that runs meanwhile reads it.

-- Unlogged: a count is worth nothing a minute later, and a crash may forget it. Rows change a few
-- times a second, so each page keeps room for the new version of its rows.
create unlogged table rate_window (
    window_start timestamptz not null,
    -- A keyed hash of the address or key, another one in each window: neither whose it is nor that
    -- two are one's can be told from it.
    bucket bytea not null check (octet_length(bucket) = 16),
    count bigint not null,
    primary key (window_start, bucket)
) with (fillfactor = 50);

grant select, insert, update, delete on rate_window to clinicway_service;
