"""Each table says what each role may do with it. A new one fails here until that is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from db.connection import rows, value, values
from db.roles import SERVICE, WORKER

if TYPE_CHECKING:
    from db.connection import Connection

READ: Final = "select"
GROW: Final = "insert select"
ALL: Final = "delete insert select update"
SUBSCRIPTION: Final = (
    "disabled_at disabled_reason previous_keyring_id previous_secret previous_until quiet_until "
    "secret secret_keyring_id"
)

# Table: what the service may do, and what the worker may. A column in brackets stands for the
# right to write (or read) that column alone. None: the table is the owner's.
GRANTS: Final[dict[str, tuple[str, str] | None]] = {
    "schema_migration": None,
    "catalogue_entry": (READ, READ),
    "organization": (GROW, READ),
    "clinic": ("insert select update", "select update(version)"),
    "offering": ("delete insert select", READ),
    "directory_change": (GROW, READ),
    "api_key": (
        "insert select update(expires_at last_used_at replaced_by revoked_at)",
        "select(created_at email expires_at id name principal replaced_by revoked_at scopes)",
    ),
    "referral": ("select update(version)", "insert select update"),
    "offer": ("select update(version)", "insert select update"),
    "sealed_key": (READ, "insert select update"),
    "referral_history": (READ, GROW),
    "clinic_week": (READ, ALL),
    "idempotency": (READ, "delete insert select"),
    "notice": ("", ALL),
    "directory_reader": ("", "select update"),
    "duty": ("", "insert select update"),
    "audit_lane": (
        "insert select update(entries keyring_id last_mac mac)",
        "insert select update(entries keyring_id last_mac mac)",
    ),
    "audit_entry": (GROW, "insert"),
    "webhook_subscription": (
        f"delete insert select update({SUBSCRIPTION})",
        "select update",
    ),
    "webhook_delivery": (
        "select update(dead_at delivered_at next_attempt_at state tries)",
        ALL,
    ),
    "rate_window": (ALL, ""),
}
# Rows of these belong to somebody: row-level security holds even for their owner.
OWNED: Final = {
    "referral",
    "offer",
    "sealed_key",
    "referral_history",
    "idempotency",
    "notice",
    "webhook_subscription",
    "webhook_delivery",
}
# The queue is made by its library, for the workers alone.
QUEUE: Final = "pgqueuer"

TABLES = """
select relname::text from pg_class
where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')
"""
GRANTED = """
with entries as (
    select relation.relname, grants.grantee, grants.privilege_type, null::text as attname
    from pg_class as relation, aclexplode(relation.relacl) as grants
    where relation.relnamespace = 'public'::regnamespace
        and grants.grantee <> relation.relowner
    union all
    select relation.relname, grants.grantee, grants.privilege_type, attribute.attname
    from pg_attribute as attribute
    join pg_class as relation on relation.oid = attribute.attrelid,
    aclexplode(attribute.attacl) as grants
    where relation.relnamespace = 'public'::regnamespace
)
select
    relname::text as table, coalesce(pg_roles.rolname::text, 'public') as role,
    lower(privilege_type)
        || coalesce('(' || string_agg(attname, ' ' order by attname) || ')', '') as rights
from entries
left join pg_roles on pg_roles.oid = grantee
group by relname, rolname, privilege_type
order by 1, 2, 3
"""


class GrantRow(msgspec.Struct, frozen=True, kw_only=True):
    table: str
    role: str
    rights: str


async def _granted(connection: Connection) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for row in await rows(connection, GrantRow, GRANTED):
        place = (row.table, row.role)
        found[place] = f"{found[place]} {row.rights}" if place in found else row.rights
    return found


async def test_every_table_has_the_grants_that_were_decided(connection: Connection) -> None:
    granted = await _granted(connection)
    tables = [t for t in await values(connection, str, TABLES) if not t.startswith(QUEUE)]
    assert set(tables) == set(GRANTS), "each table needs a line above"
    for table, decided in GRANTS.items():
        service, worker = decided or ("", "")
        assert granted.get((table, SERVICE), "") == service, table
        assert granted.get((table, WORKER), "") == worker, table


async def test_nobody_else_and_nothing_of_the_queue(connection: Connection) -> None:
    for table, role in await _granted(connection):
        assert role in (SERVICE, WORKER), (table, role)
        assert not (table.startswith(QUEUE) and role == SERVICE), table


async def test_rows_that_belong_to_somebody_are_under_row_level_security(
    connection: Connection,
) -> None:
    enforced = await values(
        connection,
        str,
        "select relname::text from pg_class where relrowsecurity and relforcerowsecurity",
    )
    assert set(enforced) == OWNED


async def test_the_roles_own_nothing_and_can_do_nothing_of_their_own(
    connection: Connection,
) -> None:
    for role in (SERVICE, WORKER):
        owned = await value(
            connection,
            int,
            "select count(*) from pg_shdepend where refclassid = 'pg_authid'::regclass"
            " and refobjid = $1::text::regrole and deptype = 'o'",
            role,
        )
        assert owned == 0
        plain = await value(
            connection,
            bool,
            "select not (rolsuper or rolcanlogin or rolcreaterole or rolcreatedb"
            " or rolbypassrls or rolreplication) from pg_roles where rolname = $1",
            role,
        )
        assert plain
        member_of = await value(
            connection,
            int,
            "select count(*) from pg_auth_members where member = $1::text::regrole",
            role,
        )
        assert member_of == 0
        for right in ("create on schema public", "create on database"):
            what, _, kind = right.partition(" on ")
            call = (
                "has_schema_privilege($1, 'public', $2)"
                if "schema" in kind
                else "has_database_privilege($1, current_database(), $2)"
            )
            assert not await value(connection, bool, f"select {call}", role, what)


async def test_no_default_privileges_hand_out_what_nobody_decided(connection: Connection) -> None:
    assert await value(connection, int, "select count(*) from pg_default_acl") == 0
