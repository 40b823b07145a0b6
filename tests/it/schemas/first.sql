-- What the first version made of a database that had the OnCare tables, but for the index being built concurrently.
-- Not to be changed: databases have it.

create schema live;
create table live.migration (
    version integer constraint migration_pkey primary key,
    name text not null,
    applied_at timestamptz not null default now()
);
insert into live.migration (version, name) values
    (1, 'oncare_tables'), (2, 'live_schema'), (3, 'triggers'), (4, 'list_index');

-- Everything the service owns: the events that triggers record, the statistics folded from them, and the sessions.
-- The host's tables are not touched here; `drop schema live cascade` takes all of it away again, triggers included.

-- One row per changed order and statement. At once outbox, replay log, delta of the statistics and audit trail.
-- `id` is in the order of writing, never of commit: no reader may use it as a cursor (see live.events_since).
-- Old values are null for an insert, new ones for a delete; an 'items' event has only the sales reps.
-- Texts and amounts are unbounded so that a wider column in the host can never make recording fail.
create table live.order_event (
    id bigint generated always as identity constraint order_event_pkey primary key,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp(),
    operation text not null constraint order_event_operation_check
        check (operation in ('insert', 'update', 'delete', 'items', 'truncate', 'truncate_items')),
    order_id bigint,
    order_number text,
    old_sales_rep_id bigint,
    new_sales_rep_id bigint,
    old_status text,
    new_status text,
    old_payment_status text,
    new_payment_status text,
    old_total numeric,
    new_total numeric,
    items_delta integer,
    -- other columns that the list shows, where they changed: {"customer_name": ["old", "new"]}
    other jsonb,
    app_user text default nullif(current_setting('app.user', true), ''),
    application text default nullif(current_setting('application_name', true), ''),
    database_role text not null default session_user
);

-- A transaction has few events, but one import may have them all when the table is analysed: the planner must not come
-- to think that looking a transaction up means reading the table.
alter table live.order_event alter column xid set (n_distinct = -0.5);

create index order_event_xid_idx on live.order_event (xid);
create index order_event_truncate_xid_idx on live.order_event (xid) where operation = 'truncate';
create index order_event_order_id_idx on live.order_event (order_id, id);
create index order_event_at_idx on live.order_event (at);

-- The primitive behind tail, fold and resume: the events that are committed now and were not visible in `since`,
-- each exactly once. It must stay a plain SQL function without settings, so that it is inlined into its caller's plan
-- and reads nothing but the index.
create function live.events_since(since pg_snapshot) returns setof live.order_event
language sql stable as $$
    select *
    from live.order_event
    where xid >= pg_snapshot_xmax(since) or xid = any (array(select pg_snapshot_xip(since)))
$$;

-- What the events since a snapshot add to the number and amount of orders by sales rep, status and payment status.
-- TRUNCATE holds an exclusive lock until it commits, so that ids do tell what came before it from what came after.
create function live.deltas_since(since pg_snapshot)
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language sql stable as $$
    select d.sales_rep_id, d.status, d.payment_status, d.orders, d.amount
    from live.events_since(since) e
    cross join (select max(t.id) as id from live.events_since(since) t where t.operation = 'truncate') cut
    cross join lateral (values
        (e.old_sales_rep_id, e.old_status, e.old_payment_status, -1::bigint, -e.old_total),
        (e.new_sales_rep_id, e.new_status, e.new_payment_status, 1::bigint, e.new_total)
    ) d (sales_rep_id, status, payment_status, orders, amount)
    where d.status is not null and (cut.id is null or e.id > cut.id)
$$;

-- The statistics as far as they are folded, and the snapshot up to which that is. Only the fold writes them.
create table live.order_stats (
    sales_rep_id bigint,
    status text not null,
    payment_status text not null,
    orders bigint not null,
    amount numeric not null,
    constraint order_stats_key unique (sales_rep_id, status, payment_status)
);
create unique index order_stats_unassigned_key on live.order_stats (status, payment_status) where sales_rep_id is null;

create table live.fold (
    singleton boolean not null default true constraint fold_pkey primary key constraint fold_singleton_check check (singleton),
    -- transaction ids mean nothing in another cluster: a restored dump voids the fold
    system_identifier bigint not null,
    snapshot pg_snapshot not null,
    folded_at timestamptz not null default now(),
    -- the newest transaction of which events were pruned: an older cursor can't be resumed
    pruned_xid xid8 not null default '0'
);

-- The snapshot of the fold, or null where there is none that holds here.
create function live.folded() returns pg_snapshot
language sql stable as $$
    select snapshot from live.fold where system_identifier = (select system_identifier from pg_control_system())
$$;

-- Number and amount of the given reps' orders by status and payment status: what is folded plus the events since,
-- in the caller's snapshot. Without a valid fold it is the plain aggregate: slower, never wrong.
create function live.statistics(reps bigint[])
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    since pg_snapshot := live.folded();
begin
    if since is null then
        return query
            select a.sales_rep_id, a.status, a.payment_status, a.orders, a.amount
            from live.aggregate a where a.sales_rep_id = any (reps);
        return;
    end if;
    return query
        select p.sales_rep_id, p.status, p.payment_status, sum(p.orders)::bigint, sum(p.amount)
        from (
            select s.sales_rep_id, s.status, s.payment_status, s.orders, s.amount
            from live.order_stats s
            where s.sales_rep_id = any (reps)
              and not exists (select from live.events_since(since) t where t.operation = 'truncate')
            union all
            select d.sales_rep_id, d.status, d.payment_status, d.orders, d.amount
            from live.deltas_since(since) d
            where d.sales_rep_id = any (reps)
        ) p
        group by p.sales_rep_id, p.status, p.payment_status
        having sum(p.orders) <> 0 or sum(p.amount) <> 0;
end
$$;

-- The same for every order, those without a rep included.
create function live.all_statistics()
returns table (sales_rep_id bigint, status text, payment_status text, orders bigint, amount numeric)
language plpgsql stable as $$
#variable_conflict use_column
declare
    since pg_snapshot := live.folded();
begin
    if since is null then
        return query select a.sales_rep_id, a.status, a.payment_status, a.orders, a.amount from live.aggregate a;
        return;
    end if;
    return query
        select p.sales_rep_id, p.status, p.payment_status, sum(p.orders)::bigint, sum(p.amount)
        from (
            select s.sales_rep_id, s.status, s.payment_status, s.orders, s.amount
            from live.order_stats s
            where not exists (select from live.events_since(since) t where t.operation = 'truncate')
            union all
            select d.sales_rep_id, d.status, d.payment_status, d.orders, d.amount
            from live.deltas_since(since) d
        ) p
        group by p.sales_rep_id, p.status, p.payment_status
        having sum(p.orders) <> 0 or sum(p.amount) <> 0;
end
$$;

-- The plain aggregate that the statistics must always equal. NaN is a possible numeric(10,2): it counts as nothing.
create view live.aggregate as
    select sales_rep_id, status::text as status, payment_status::text as payment_status,
           count(*) as orders, coalesce(sum(nullif(total_amount, 'NaN')), 0)::numeric as amount
    from public.orders_order
    group by sales_rep_id, orders_order.status, orders_order.payment_status;

-- Emptied by crash recovery, as it is unlogged, and not replicated: its token tells a server that may hand out a
-- transaction id a second time from the one that handed it out first, even where the postmaster survived.
create unlogged table live.incarnation (
    singleton boolean not null default true constraint incarnation_pkey primary key
        constraint incarnation_singleton_check check (singleton),
    token uuid not null default gen_random_uuid()
);

-- Within one epoch snapshots can be compared and resumed. Null while the incarnation has no token yet.
create function live.epoch() returns text
language sql stable as $$
    select substr(encode(sha256(convert_to(
        (select system_identifier from pg_control_system())
            || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
            || '/' || extract(epoch from pg_postmaster_start_time())
            || '/' || (select token from live.incarnation), 'UTF8')), 'hex'), 1, 16)
$$;

-- Who is signed in. Only a hash of the token is here; the password's digest ends a session when the password changes.
create table live.session (
    token_hash bytea constraint session_pkey primary key,
    user_id bigint not null,
    password_digest bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index session_expires_at_idx on live.session (expires_at);

-- The triggers that record what changed and wake the listeners. All are statement-level: a statement that changes
-- 10,000 orders costs one insert and at most one notification. The functions are `security definer`, so that a writer
-- needs no right on schema live, and touch nothing that another writer could hold a lock on.

-- Wakes the listeners. The payload says which reps are concerned, where that is short; a payload of 8,000 bytes or more
-- would abort the writer's transaction. Nothing else about an order leaves by this door.
create function live.notify(reps text) returns void
language sql volatile as $$
    select pg_notify('live_orders', case when octet_length(reps) <= 2000 then 'reps:' || reps else 'all' end)
$$;

create function live.record_insert() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    reps text;
begin
    with recorded as (
        insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
        select 'insert', n.id, n.order_number, n.sales_rep_id, n.status, n.payment_status, coalesce(nullif(n.total_amount, 'NaN'), 0)
        from new_rows n
        returning new_sales_rep_id as rep
    )
    select coalesce(string_agg(distinct rep::text, ','), '') into reps from recorded having count(*) > 0;
    if reps is not null then
        perform live.notify(reps);
    end if;
    return null;
end
$$;

-- A changed primary key is the end of one order and the beginning of another, whatever the statement calls it.
create function live.record_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    reps text;
begin
    with recorded as (
        insert into live.order_event (
            operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
            old_payment_status, new_payment_status, old_total, new_total, other
        )
        select
            case when o.id is null then 'insert' when n.id is null then 'delete' else 'update' end,
            coalesce(n.id, o.id), coalesce(o.order_number, n.order_number), o.sales_rep_id, n.sales_rep_id, o.status, n.status,
            o.payment_status, n.payment_status,
            case when o.id is not null then coalesce(nullif(o.total_amount, 'NaN'), 0) end,
            case when n.id is not null then coalesce(nullif(n.total_amount, 'NaN'), 0) end,
            case when o.id = n.id
                  and (o.order_number, o.customer_name, o.created_at)
                      is distinct from (n.order_number, n.customer_name, n.created_at)
            then jsonb_strip_nulls(jsonb_build_object(
                'order_number', case when o.order_number <> n.order_number
                    then jsonb_build_array(o.order_number, n.order_number) end,
                'customer_name', case when o.customer_name <> n.customer_name
                    then jsonb_build_array(o.customer_name, n.customer_name) end,
                'created_at', case when o.created_at <> n.created_at
                    then jsonb_build_array(o.created_at, n.created_at) end))
            end
        from old_rows o full join new_rows n on n.id = o.id
        where (o.id, o.sales_rep_id, o.status, o.payment_status, o.total_amount,
               o.order_number, o.customer_name, o.created_at)
              is distinct from
              (n.id, n.sales_rep_id, n.status, n.payment_status, n.total_amount,
               n.order_number, n.customer_name, n.created_at)
        returning old_sales_rep_id, new_sales_rep_id
    )
    select coalesce(string_agg(distinct rep::text, ','), '') into reps
    from recorded, lateral (values (old_sales_rep_id), (new_sales_rep_id)) v (rep)
    having count(*) > 0;
    if reps is not null then
        perform live.notify(reps);
    end if;
    return null;
end
$$;

create function live.record_delete() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    reps text;
begin
    with recorded as (
        insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
        select 'delete', o.id, o.order_number, o.sales_rep_id, o.status, o.payment_status, coalesce(nullif(o.total_amount, 'NaN'), 0)
        from old_rows o
        returning old_sales_rep_id as rep
    )
    select coalesce(string_agg(distinct rep::text, ','), '') into reps from recorded having count(*) > 0;
    if reps is not null then
        perform live.notify(reps);
    end if;
    return null;
end
$$;

create function live.record_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into live.order_event (operation) values (tg_argv[0]);
    perform pg_notify('live_orders', 'all');
    return null;
end
$$;

-- The number of items is shown with an order, so that a statement that changes it changes the order. The order's rep
-- is read here only as a hint: in a transaction with an older snapshot it may have another rep by now, so all are woken.
create function live.record_items() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    orders bigint[];
    deltas integer[];
    reps text;
begin
    if tg_op = 'INSERT' then
        select array_agg(c.order_id), array_agg(c.items) into orders, deltas
        from (select order_id, count(*) as items from new_rows group by order_id) c;
    elsif tg_op = 'DELETE' then
        select array_agg(c.order_id), array_agg(-c.items) into orders, deltas
        from (select order_id, count(*) as items from old_rows group by order_id) c;
    else
        select array_agg(c.order_id), array_agg(c.items) into orders, deltas
        from (
            select i.order_id, sum(i.items) as items
            from (select order_id, 1 as items from new_rows union all select order_id, -1 from old_rows) i
            group by i.order_id
            having sum(i.items) <> 0
        ) c;
    end if;
    with recorded as (
        insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, items_delta)
        select 'items', o.id, o.order_number, o.sales_rep_id, o.sales_rep_id, c.delta
        from unnest(orders, deltas) c (order_id, delta)
        join public.orders_order o on o.id = c.order_id
        returning new_sales_rep_id as rep
    )
    select coalesce(string_agg(distinct rep::text, ','), '') into reps from recorded having count(*) > 0;
    if reps is not null then
        if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
            perform pg_notify('live_orders', 'all');
        else
            perform live.notify(reps);
        end if;
    end if;
    return null;
end
$$;

create trigger live_insert after insert on public.orders_order
    referencing new table as new_rows for each statement execute function live.record_insert();
create trigger live_update after update on public.orders_order
    referencing old table as old_rows new table as new_rows for each statement execute function live.record_update();
create trigger live_delete after delete on public.orders_order
    referencing old table as old_rows for each statement execute function live.record_delete();
create trigger live_truncate after truncate on public.orders_order
    for each statement execute function live.record_truncate('truncate');

create trigger live_insert after insert on public.orders_orderitem
    referencing new table as new_rows for each statement execute function live.record_items();
create trigger live_update after update on public.orders_orderitem
    referencing old table as old_rows new table as new_rows for each statement execute function live.record_items();
create trigger live_delete after delete on public.orders_orderitem
    referencing old table as old_rows for each statement execute function live.record_items();
create trigger live_truncate after truncate on public.orders_orderitem
    for each statement execute function live.record_truncate('truncate_items');

-- Also for a session that sets session_replication_role = replica, as bulk loaders do: any client that writes is heard.
alter table public.orders_order enable always trigger live_insert;
alter table public.orders_order enable always trigger live_update;
alter table public.orders_order enable always trigger live_delete;
alter table public.orders_order enable always trigger live_truncate;
alter table public.orders_orderitem enable always trigger live_insert;
alter table public.orders_orderitem enable always trigger live_update;
alter table public.orders_orderitem enable always trigger live_delete;
alter table public.orders_orderitem enable always trigger live_truncate;

-- What a rep's list is read from: each status newest first, ties by id. It covers the list's ids and its counts by
-- date. It holds no column that an order's status change would not already have to index, so that writers pay little.
-- Built concurrently, outside a transaction: nobody waits for it. The runner skips it where an index like it exists.
create index orders_order_live_list_idx
    on public.orders_order (sales_rep_id, status, created_at desc, id desc);
