-- Changes that a trigger could not read, as the host had altered what it reads: which transactions made them, and what the first
-- of each ran into. As long as any is here, no statistics are folded, and all are counted from the orders. Whoever builds
-- the statistics anew takes away those that it has seen.
create table if not exists live.unreadable (
    xid xid8 default pg_current_xact_id() constraint unreadable_pkey primary key,
    at timestamptz not null default clock_timestamp(),
    reason text not null
);

-- Who may read and delete truncations does the same with these.
do $$
declare
    granted record;
begin
    for granted in
        select distinct a.privilege_type as privilege, a.grantee::pg_catalog.regrole as role
        from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
        where c.oid = 'live.truncation'::regclass and a.grantee not in (0, c.relowner)
    loop
        execute format('grant %s on live.unreadable to %s', granted.privilege, granted.role);
    end loop;
end
$$;
