-- The triggers that record what changed and wake a listener that sleeps. PostgreSQL sends equal payloads of one transaction
-- once, so that a transaction sends at most two, however much it changes: `745`, and `745 crowded`, where another transaction
-- that had notified was still open at one of its rows. The functions are `security definer`, so that a writer needs no right on schema live, and touch
-- nothing that another writer could hold a lock on. Run again, this file puts back what somebody took away.

-- Whether a listener sleeps, so that it must be notified. Two advisory locks say so.
--
-- The *sleep lock* ("oncawake" in ASCII) is held exclusively by a sleeping listener. A writer that gets it, shared, knows that
-- nobody sleeps, need not notify, and keeps it until its transaction ends. So a listener can fall asleep only when all
-- transactions that did not notify have ended; then it reads once more. A savepoint that is rolled back takes its event and its
-- lock along. Notifying costs a lock on the whole cluster until the commit is on disk, which ends group commit; this costs no wait.
--
-- The *lease* ("onca" and the number of the present five seconds) proves that the sleeper is alive: it renews it. A sleeper whose
-- machine died keeps its sleep lock for as long as the server believes in its connection, and a stranger may hold it for ever. A
-- writer that finds the sleep lock taken but the lease free does not notify, and holds the lease itself, so that nobody can fall
-- asleep over its change. (A transaction that outlasts these five seconds, and then the stranger's lock, is found by the
-- listener's periodic read; one that writes for hours beside a stranger's lock holds a lease for each five seconds.)
create or replace function live.listener_sleeps() returns boolean
language sql volatile as $$
    select case
        when pg_try_advisory_xact_lock_shared(8029464455914023781) then false
        else not pg_try_advisory_xact_lock_shared(1869505377, floor(date_part('epoch', clock_timestamp()) / 5)::integer)
    end
$$;

-- Wakes the listeners. The payload is the transaction, by which they know that it was notified, and that another one, which
-- had notified as well, was still open: such transactions wait for each other's flush, so the listener had better be awake. The
-- key is "oncanote". Nothing about an order leaves by this door. A full queue, which any listening session that is stuck in a
-- transaction can cause, would make the writer's commit fail: from half full on nobody is notified, and the listener finds the
-- change when it reads without being told to, every three seconds.
create or replace function live.notify() returns void
language sql volatile as $$
    select pg_notify('live_orders', pg_current_xact_id()::text
        || case when pg_try_advisory_xact_lock(8029464455763948645) then '' else ' crowded' end)
    where pg_notification_queue_usage() < 0.5
$$;

-- **A trigger can't fail the host's write.** What it reads may be renamed, dropped or altered at any time. So each function first
-- reads all of it in a block that catches what fails, and only then writes, outside the block: the same values by the same
-- casts, which can't fail any more. The block writes nothing, so that its subtransaction takes no id: one in which an event is
-- written would take one for each row, and from the 65th on every snapshot in the cluster would cost more.
--
-- In the block stand: each value that the INSERT takes, by the casts that it takes them by, within num_nulls(), which
-- evaluates all of its arguments; and live.must_take_events() with our own table as a constant, so that the block fails where the
-- table is gone or can't take the event.

-- Some errors are not of what was read but of the host's transaction, which has to know of them: it can't be serialized, is in a
-- deadlock, lacks memory, disk or stack, gets no lock, is ended. (OTHERS leaves out a statement that is cancelled.) Each function
-- raises those again, and names them itself: a handler that needs anything of schema live could fail where somebody took away
-- the schema from its owner, or called it otherwise. Then nothing can be noted either, and the service finds that out when it looks.

-- Notes that a change could not be read. Until somebody has read all orders anew, statistics are counted from the orders. What
-- is wrong with our own tables fails nothing either. A transaction leaves one note, however much it changes. It stays where the
-- event that tells of it at once can't be written: then it is found later.
create or replace function live.note_unreadable(what_failed text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into live.unreadable (reason) values (what_failed) on conflict do nothing;
    if found then
        begin
            insert into live.order_event (operation) values ('unreadable');
            if live.listener_sleeps() then
                perform live.notify();
            end if;
        exception
            when transaction_rollback or insufficient_resources or operator_intervention or system_error
                or statement_too_complex or object_in_use or lock_not_available then
                raise;
            when others then
        end;
    end if;
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error
        or statement_too_complex or object_in_use or lock_not_available then
        raise;
    when others then
end
$$;

-- True, or fails where an INSERT of these functions into our own table would fail the host's write: somebody took away the right
-- to it, a column, a default or the end of its numbers, or added what rows have to keep to. It stands in each block with the
-- table and its sequence as constants and says that it is immutable, so that PostgreSQL asks it when it plans and not for each row,
-- and once more after one of them was altered. What others hang on that table that may fail, a trigger or an index on an
-- expression, is theirs.
create or replace function live.must_take_events(events regclass, numbers regclass) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
    obstacle text := coalesce(
        (select case when p.prosecdef then format('%I may not insert into it', pg_get_userbyid(p.proowner))
             else format('%s runs with the rights of whoever writes', p.oid::regprocedure) end
         from pg_proc p
         where p.pronamespace = 'live'::regnamespace and starts_with(p.proname, 'record_') and p.prorettype = 'trigger'::regtype
             and (not p.prosecdef or not has_schema_privilege(p.proowner, 'live', 'usage')
                 or not has_table_privilege(p.proowner, events, 'insert'))
         limit 1),
        (select 'it is not an ordinary table'
         from pg_class c
         where c.oid = events and (c.relkind <> 'r' or c.relispartition or exists (select from pg_rewrite r where r.ev_class = events))),
        (select format('it lacks a column %s of type %s that takes any value', needed.name, needed.type)
         from (values ('operation', 'text'), ('order_id', 'bigint'), ('order_number', 'text'), ('old_sales_rep_id', 'bigint'),
             ('new_sales_rep_id', 'bigint'), ('old_status', 'text'), ('new_status', 'text'), ('old_payment_status', 'text'),
             ('new_payment_status', 'text'), ('old_total', 'numeric'), ('new_total', 'numeric'), ('items_delta', 'integer'),
             ('other', 'jsonb')) needed (name, type)
         where not exists (
             select from pg_attribute a
             where a.attrelid = events and a.attname = needed.name and not a.attisdropped
                 and a.atttypid = to_regtype(needed.type) and a.atttypmod = -1 and a.attgenerated = '' and a.attidentity = ''
                 and (not a.attnotnull or a.attname = 'operation'))
         limit 1),
        -- those that are filled in by their defaults, of which the last two may be null
        (select format('its column %s does not take any value of type %s', filled.name, filled.type)
         from (values ('id', 'bigint', true), ('xid', 'xid8', true), ('at', 'timestamptz', true), ('app_user', 'text', false),
             ('application', 'text', false)) filled (name, type, is_never_null)
         join pg_attribute a on a.attrelid = events and a.attname = filled.name and not a.attisdropped
         where a.atttypid <> to_regtype(filled.type) or a.atttypmod <> -1 or a.attgenerated <> ''
             or a.attnotnull and not filled.is_never_null
         limit 1),
        (select format('its column %I has no default', a.attname)
         from pg_attribute a
         where a.attrelid = events and a.attnum > 0 and not a.attisdropped and a.attname <> 'operation'
             and a.attnotnull and not a.atthasdef and a.attidentity = ''
         limit 1),
        (select format('its column %I is computed, or of a domain', a.attname)
         from pg_attribute a join pg_type t on t.oid = a.atttypid
         where a.attrelid = events and a.attnum > 0 and not a.attisdropped and (a.attgenerated <> '' or t.typtype = 'd')
         limit 1),
        (select format('it has the constraint %I', c.conname)
         from pg_constraint c
         where c.conrelid = events and c.contype not in ('p', 'n')
         limit 1),
        (select format('it has the unique index %s', i.indexrelid::regclass)
         from pg_index i where i.indrelid = events and i.indisunique and not i.indisprimary limit 1),
        (select 'row-level security is on for it'
         from pg_class c
         where c.oid = events and c.relrowsecurity and (c.relforcerowsecurity or exists (
             select from pg_proc p
             where p.pronamespace = 'live'::regnamespace and starts_with(p.proname, 'record_') and p.prorettype = 'trigger'::regtype
                 and p.proowner <> c.relowner))),
        (select format('its numbers end at %s', s.seqmax)
         from pg_sequence s
         where s.seqrelid = numbers and s.seqmax < 9223372036854775807),
        (select format('its numbers go by %s', s.seqincrement)
         from pg_sequence s
         where s.seqrelid = numbers and s.seqincrement not between 1 and 1000)
    );
begin
    if obstacle is not null then
        raise exception 'no event can be written to %: %', events, obstacle;
    end if;
    return true;
end
$$;

-- Orders are recorded row by row when they are inserted or updated: matching the rows of a statement before and after would
-- cost each single-row statement more than a large one gains by it. It is told here and not by a condition of the trigger what
-- is recorded, as that would keep the host from altering the columns in it.
--
-- A session keeps the plans of these statements, which are made for columns of certain types. Each names the host's table, as
-- a constant that costs nothing, so that PostgreSQL makes it anew after the table was altered: a session that was open when
-- the host widened a column could not write any more.
create or replace function live.record_insert() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    begin
        if num_nulls(new.id::bigint, new.order_number::text, new.sales_rep_id::bigint, new.status::text,
                new.payment_status::text, new.total_amount::numeric) is not null
            and 'public.orders_order'::regclass is not null and live.must_take_events('live.order_event', 'live.order_event_id_seq')
            and live.listener_sleeps()
        then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            begin
                perform live.note_unreadable(sqlerrm);
            exception
                when transaction_rollback or insufficient_resources or operator_intervention or system_error
                    or statement_too_complex or object_in_use or lock_not_available then
                    raise;
                when others then
            end;
            return null;
    end;
    insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
    values (coalesce('insert', 'public.orders_order'::regclass::text), new.id::bigint, new.order_number::text,
        new.sales_rep_id::bigint, new.status::text, new.payment_status::text, new.total_amount::numeric);
    return null;
end
$$;

-- The order of which a transaction last recorded here that it changed where it stands is kept, for as long as the transaction lasts,
-- in the setting oncare_live.standing_changed, for live.record_history: a savepoint that is rolled back takes it along with the event.
--
-- Most updates that are recorded change no text of the order. They take the first way, as PL/pgSQL prepares each
-- expression that a transaction comes to anew, at a cost that sixteen writers feel; hence also a plain INSERT whose values
-- need no computing. A changed primary key is the end of one order and the beginning of another, whatever the statement
-- calls it.
create or replace function live.record_update() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    is_another boolean;
    others jsonb;
begin
    <<not_the_first_way>>
    begin
        begin
            if num_nulls(old.id::bigint, new.id::bigint, old.order_number::text, new.order_number::text,
                    old.sales_rep_id::bigint, new.sales_rep_id::bigint, old.status::text, new.status::text,
                    old.payment_status::text, new.payment_status::text, old.total_amount::numeric,
                    new.total_amount::numeric) is not null
                and (old.status::text <> new.status::text or old.payment_status::text <> new.payment_status::text
                    or old.total_amount::numeric <> new.total_amount::numeric
                    or old.sales_rep_id::bigint <> new.sales_rep_id::bigint)
                and old.id::bigint = new.id::bigint and old.order_number::text = new.order_number::text
                and old.customer_name::text = new.customer_name::text
                and old.created_at::timestamptz = new.created_at::timestamptz
                and 'public.orders_order'::regclass is not null and live.must_take_events('live.order_event', 'live.order_event_id_seq')
                and ((old.status::text <> new.status::text or old.payment_status::text <> new.payment_status::text) is not true
                    or set_config('oncare_live.standing_changed', new.id::bigint::text, true) is not null)
            then
                if live.listener_sleeps() then
                    perform live.notify();
                end if;
                exit not_the_first_way;
            end if;
            is_another := old.id::bigint <> new.id::bigint and 'public.orders_order'::regclass is not null;
            if not is_another then
                if old.status::text = new.status::text
                    and old.payment_status::text = new.payment_status::text
                    and old.total_amount::numeric = new.total_amount::numeric
                    and old.sales_rep_id::bigint is not distinct from new.sales_rep_id::bigint
                    and old.order_number::text = new.order_number::text
                    and old.customer_name::text = new.customer_name::text
                    and old.created_at::timestamptz = new.created_at::timestamptz
                    and 'public.orders_order'::regclass is not null
                then
                    return null;
                end if;
                others := case when 'public.orders_order'::regclass is not null then
                    live.other_changes(old.order_number::text, new.order_number::text, old.customer_name::text,
                        new.customer_name::text, old.created_at::timestamptz, new.created_at::timestamptz) end;
            end if;
            -- asked here too, as a session that has failed to plan the first way plans it anew for each row, and then not beyond
            -- the first condition that is false
            if live.must_take_events('live.order_event', 'live.order_event_id_seq') and live.listener_sleeps() then
                perform live.notify();
            end if;
        exception
            when transaction_rollback or insufficient_resources or operator_intervention or system_error
                or statement_too_complex or object_in_use or lock_not_available then
                raise;
            when others then
                begin
                    perform live.note_unreadable(sqlerrm);
                exception
                    when transaction_rollback or insufficient_resources or operator_intervention or system_error
                        or statement_too_complex or object_in_use or lock_not_available then
                        raise;
                    when others then
                end;
                return null;
        end;
        if is_another then
            insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
            values (coalesce('delete', 'public.orders_order'::regclass::text), old.id::bigint, old.order_number::text,
                old.sales_rep_id::bigint, old.status::text, old.payment_status::text, old.total_amount::numeric);
            insert into live.order_event (operation, order_id, order_number, new_sales_rep_id, new_status, new_payment_status, new_total)
            values (coalesce('insert', 'public.orders_order'::regclass::text), new.id::bigint, new.order_number::text,
                new.sales_rep_id::bigint, new.status::text, new.payment_status::text, new.total_amount::numeric);
        else
            insert into live.order_event (
                operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
                old_payment_status, new_payment_status, old_total, new_total, other
            )
            values (coalesce('update', 'public.orders_order'::regclass::text), new.id::bigint, old.order_number::text,
                old.sales_rep_id::bigint, new.sales_rep_id::bigint, old.status::text, new.status::text,
                old.payment_status::text, new.payment_status::text, old.total_amount::numeric, new.total_amount::numeric,
                others);
        end if;
        return null;
    end;
    insert into live.order_event (
        operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
        old_payment_status, new_payment_status, old_total, new_total
    )
    values (coalesce('update', 'public.orders_order'::regclass::text), new.id::bigint, old.order_number::text,
        old.sales_rep_id::bigint, new.sales_rep_id::bigint, old.status::text, new.status::text, old.payment_status::text,
        new.payment_status::text, old.total_amount::numeric, new.total_amount::numeric);
    return null;
end
$$;

-- Changes of the other columns that the list shows, or null: {"customer_name": ["old", "new"]}. Times are told in UTC.
create or replace function live.other_changes(
    old_number text, new_number text, old_customer text, new_customer text, old_created timestamptz, new_created timestamptz
) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp set time zone 'UTC' as $$
begin
    return nullif(jsonb_strip_nulls(jsonb_build_object(
        'order_number', case when old_number <> new_number then jsonb_build_array(old_number, new_number) end,
        'customer_name', case when old_customer <> new_customer then jsonb_build_array(old_customer, new_customer) end,
        'created_at', case when old_created <> new_created then jsonb_build_array(old_created, new_created) end)), '{}');
end
$$;

create or replace function live.record_delete() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    begin
        perform count(num_nulls(o.id::bigint, o.order_number::text, o.sales_rep_id::bigint, o.status::text,
            o.payment_status::text, o.total_amount::numeric))
        from old_rows o
        where live.must_take_events('live.order_event', 'live.order_event_id_seq')
        having count(*) > 0;
        if not found then
            return null;
        end if;
        if live.listener_sleeps() then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            begin
                perform live.note_unreadable(sqlerrm);
            exception
                when transaction_rollback or insufficient_resources or operator_intervention or system_error
                    or statement_too_complex or object_in_use or lock_not_available then
                    raise;
                when others then
            end;
            return null;
    end;
    insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, old_status, old_payment_status, old_total)
    select 'delete', o.id::bigint, o.order_number::text, o.sales_rep_id::bigint, o.status::text, o.payment_status::text,
        o.total_amount::numeric
    from old_rows o;
    return null;
end
$$;

-- It reads nothing of the host's, and is rare: it may write where it catches.
create or replace function live.record_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    with recorded as (
        insert into live.order_event (operation) values (tg_argv[0]) returning id
    )
    insert into live.truncation (event_id) select id from recorded where tg_argv[0] = 'truncate';
    if live.listener_sleeps() then
        perform live.notify();
    end if;
    return null;
exception
    when transaction_rollback or insufficient_resources or operator_intervention or system_error
        or statement_too_complex or object_in_use or lock_not_available then
        raise;
    when others then
        begin
            perform live.note_unreadable(sqlerrm);
        exception
            when transaction_rollback or insufficient_resources or operator_intervention or system_error
                or statement_too_complex or object_in_use or lock_not_available then
                raise;
            when others then
        end;
        return null;
end
$$;

-- The number of items is shown with an order, so that a statement that changes it changes the order.
create or replace function live.record_items() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    changed bigint[];
    changes integer[];
    orders bigint[];
    numbers text[];
    reps bigint[];
    deltas integer[];
begin
    begin
        if tg_op = 'INSERT' then
            select array_agg(c.id), array_agg(c.items) into changed, changes
            from (select order_id::bigint as id, count(*)::integer as items from new_rows group by order_id) c;
        elsif tg_op = 'DELETE' then
            select array_agg(c.id), array_agg(c.items) into changed, changes
            from (select order_id::bigint as id, -count(*)::integer as items from old_rows group by order_id) c;
        else
            select array_agg(c.id), array_agg(c.items) into changed, changes
            from (
                select i.order_id::bigint as id, sum(i.items)::integer as items
                from (select order_id, 1 as items from new_rows union all select order_id, -1 from old_rows) i
                group by i.order_id
                having sum(i.items) <> 0
            ) c;
        end if;
        if changed is null then
            return null;
        end if;
        select array_agg(o.id::bigint), array_agg(o.order_number::text), array_agg(o.sales_rep_id::bigint), array_agg(c.items)
        into orders, numbers, reps, deltas
        from unnest(changed, changes) c (id, items)
        cross join lateral (select * from public.orders_order o where o.id = c.id limit 1) o;
        if orders is null then
            return null;
        end if;
        -- by itself: beside arrays it would be planned, and asked, for each statement
        if live.must_take_events('live.order_event', 'live.order_event_id_seq') and live.listener_sleeps() then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            begin
                perform live.note_unreadable(sqlerrm);
            exception
                when transaction_rollback or insufficient_resources or operator_intervention or system_error
                    or statement_too_complex or object_in_use or lock_not_available then
                    raise;
                when others then
            end;
            return null;
    end;
    insert into live.order_event (operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, items_delta)
    select 'items', c.id, c.number, c.rep, c.rep, c.delta from unnest(orders, numbers, reps, deltas) c (id, number, rep, delta);
    return null;
end
$$;

-- An application that keeps a history of its orders writes there who changed one, a moment after the change and often in another
-- transaction. What is recorded is only that it did: who it was is read from the history (live.person_of). A transaction that names its
-- user has said so already; one that has just changed where the order stands is read as a whole, with its history; and what is
-- entered of older days names nobody who is waited for. Where the history is not what it was, nobody is named: no change goes
-- unrecorded by that.
create or replace function live.record_history() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    begin
        if current_setting('app.user', true) <> ''
            or current_setting('oncare_live.standing_changed', true) = new.order_id::bigint::text
            or new.order_id::bigint is null or new.changed_at::timestamptz < now() - interval '1 day'
            or 'public.orders_orderstatushistory'::regclass is null
        then
            return null;
        end if;
        if live.must_take_events('live.order_event', 'live.order_event_id_seq') and live.listener_sleeps() then
            perform live.notify();
        end if;
    exception
        when transaction_rollback or insufficient_resources or operator_intervention or system_error
            or statement_too_complex or object_in_use or lock_not_available then
            raise;
        when others then
            return null;
    end;
    insert into live.order_event (operation, order_id)
    values (coalesce('history', 'public.orders_orderstatushistory'::regclass::text), new.order_id::bigint);
    return null;
end
$$;

-- of earlier versions
drop function if exists live.is_of_the_transaction(text);
drop function if exists live.notify(text);
drop function if exists live.notify(bigint[]);

-- All of ours, whatever they were called, also where schema live was given another name, with the functions that they call.
do $$
declare
    ours record;
begin
    for ours in
        select t.tgname as name, t.tgrelid::pg_catalog.regclass as relation
        from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
        where t.tgrelid in ('public.orders_order'::pg_catalog.regclass, 'public.orders_orderitem'::pg_catalog.regclass,
                pg_catalog.to_regclass('public.orders_orderstatushistory'))
            and (p.pronamespace = 'live'::pg_catalog.regnamespace
                or pg_catalog.starts_with(p.proname, 'record_') and pg_catalog.strpos(p.prosrc, 'live.order_event') > 0)
            and not t.tgisinternal
    loop
        execute pg_catalog.format('drop trigger %I on %s', ours.name, ours.relation);
    end loop;
end
$$;

-- Triggers fire in the order of their names. Those that begin with a mark are before the host's, one of which may change the order
-- once more, or fill a table that was emptied: what it does then is recorded after what caused it, and the events' ids tell the
-- order of changes.
create trigger "!live_insert" after insert on public.orders_order
    for each row execute function live.record_insert();
create trigger "!live_update" after update on public.orders_order
    for each row execute function live.record_update();
create trigger live_delete after delete on public.orders_order
    referencing old table as old_rows for each statement execute function live.record_delete();
create trigger "!live_truncate" after truncate on public.orders_order
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
alter table public.orders_order enable always trigger "!live_insert";
alter table public.orders_order enable always trigger "!live_update";
alter table public.orders_order enable always trigger live_delete;
alter table public.orders_order enable always trigger "!live_truncate";
alter table public.orders_orderitem enable always trigger live_insert;
alter table public.orders_orderitem enable always trigger live_update;
alter table public.orders_orderitem enable always trigger live_delete;
alter table public.orders_orderitem enable always trigger live_truncate;

-- Also of a history that is partitioned, and without where there is none.
do $$
begin
    if exists (select from pg_catalog.pg_class c
               where c.oid = pg_catalog.to_regclass('public.orders_orderstatushistory') and c.relkind in ('r', 'p')) then
        create trigger live_insert after insert on public.orders_orderstatushistory
            for each row execute function live.record_history();
        alter table public.orders_orderstatushistory enable always trigger live_insert;
    end if;
end
$$;
