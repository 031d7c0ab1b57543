-- The roles of db/roles.py, what they may do with the tables so far, and whose key is whose.
-- pre: the previous release goes on as the owner of the tables; it can make no new keys meanwhile.

-- Roles belong to the whole server, so several databases may be making them at once. Whoever finds
-- them made, by another database or by an operator, uses them as they are. The codes CWnnn are
-- those of db/migrate.py, which says in words what a person has to do.
do $$
declare
    wanted text;
    before constant text := current_setting('role');
    can_become boolean;
begin
    foreach wanted in array array['clinicway_service', 'clinicway_worker'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                when duplicate_object or unique_violation then
                    null;
                when insufficient_privilege then
                    raise exception 'roles are missing' using errcode = 'CW001';
            end;
        end if;
        if current_setting('server_version_num')::integer >= 160000 then
            can_become := pg_has_role(session_user, wanted, 'SET');
        else
            can_become := pg_has_role(session_user, wanted, 'MEMBER');
        end if;
        if not can_become then
            begin
                -- Not inherited: without the change of role, the login has no right from it.
                execute format(
                    case
                        when current_setting('server_version_num')::integer >= 160000
                            then 'grant %I to session_user with inherit false, set true'
                        else 'grant %I to session_user'
                    end,
                    wanted
                );
            exception
                -- A row of the catalogue that another database was faster to write.
                when unique_violation or internal_error then
                    null;
                when insufficient_privilege then
                    raise exception 'not a member' using errcode = 'CW002';
            end;
        end if;
        -- The schema is that of the login's search_path, which a "$user" in it would hide.
        execute format('grant usage on schema %I to %I', current_schema(), wanted);
        begin
            perform set_config('role', wanted, true);
        exception
            when insufficient_privilege then
                raise exception 'not a member' using errcode = 'CW002';
        end;
        if to_regclass('clinic') is null then
            raise exception 'schema out of sight' using errcode = 'CW003';
        end if;
        perform set_config('role', before, true);
    end loop;
end
$$;

-- The key of a person or desk is replaced now and then; what it sent stays its own.
alter table api_key add column principal text;
with recursive lineage as (
    select id, replaced_by, id as principal
    from api_key as first
    where not exists (select from api_key as earlier where earlier.replaced_by = first.id)
    union all
    select later.id, later.replaced_by, lineage.principal
    from lineage
    join api_key as later on later.id = lineage.replaced_by
)
update api_key set principal = lineage.principal from lineage where lineage.id = api_key.id;
alter table api_key alter column principal set not null;
create index api_key_principal on api_key (principal);

-- Where notices to the key's holder go.
alter table api_key add column email text;

-- Each table says what each role may do with it, and a test fails for one that does not.
-- schema_migration is the owner's alone.
grant select on catalogue_entry to clinicway_service, clinicway_worker;

grant select, insert on organization to clinicway_service;
grant select on organization to clinicway_worker;

grant select, insert, update on clinic to clinicway_service;
grant select on clinic to clinicway_worker;

grant select, insert, delete on offering to clinicway_service;
grant select on offering to clinicway_worker;

grant select, insert on directory_change to clinicway_service;
grant select on directory_change to clinicway_worker;

grant select, insert on api_key to clinicway_service;
-- What a key may do, and its secret, stay as they were made.
grant update (last_used_at, expires_at, revoked_at, replaced_by) on api_key to clinicway_service;
grant select (id, name, scopes, principal, email, created_at, expires_at, revoked_at, replaced_by)
    on api_key to clinicway_worker;
