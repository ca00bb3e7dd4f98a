/**
 * Looks names up in pg_catalog alone, and in the session's temporary schema last, which otherwise comes first.
 *
 * Whoever may create objects in a schema of the search path decides what an unqualified name, operator or type means
 * (CVE-2018-1058, https://wiki.postgresql.org/wiki/A_Guide_to_CVE-2018-1058). Every statement of ours is therefore
 * written with `pg_catalog.` and `OPERATOR(pg_catalog.=)`: behind a transaction pooler nothing may be set, and in a
 * migration's own session its search path must stay. The sessions of the lock are pinned besides, but for those that go
 * through a pooler. Not at login: poolers refuse the startup parameter.
 */
export const pinSearchPath = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)";
