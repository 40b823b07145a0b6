-- The instances of the service on this database: each writes every few seconds how it is, so that whoever looks at one of them sees
-- all. Nobody misses it after a crash, so that it need not be written ahead.
create unlogged table if not exists live.instance (
    id text constraint instance_pkey primary key,
    name text not null,
    version text not null,
    ops_address text not null,
    started_at timestamptz not null,
    seen_at timestamptz not null default now(),
    streams integer not null,
    event_age double precision,
    is_live boolean not null,
    is_draining boolean not null
);

-- The scripts and styles of each version that serves, by the hash of all of them together, which is in their addresses. A balancer may
-- lead a page of one version to an instance of another, which has them from here.
create table if not exists live.asset (
    version text constraint asset_pkey primary key,
    files text not null,
    used_at timestamptz not null default now()
);

-- Who may read and write sessions, the service's roles, does the same with these.
do $$
declare
    granted record;
begin
    for granted in
        select distinct a.privilege_type as privilege, a.grantee::pg_catalog.regrole as role
        from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
        where c.oid = 'live.session'::regclass and a.grantee not in (0, c.relowner)
            and a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    loop
        execute format('grant %s on live.instance, live.asset to %s', granted.privilege, granted.role);
    end loop;
end
$$;
