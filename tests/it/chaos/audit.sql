-- The truth, recorded by triggers of the test's own that share nothing with the service: every version of every order.
-- Versions of one order are in the order of `seq`, as whoever writes one holds the order's row lock.

create schema audit;

create table audit.version (
    seq bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    what text not null,
    order_id bigint,
    order_number text,
    rep bigint,
    status text,
    payment_status text,
    total numeric,
    items integer
);

create function audit.note_order() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or tg_op = 'UPDATE' and old.id <> new.id then
        insert into audit.version (what, order_id) values ('gone', old.id);
    end if;
    if tg_op <> 'DELETE' then
        insert into audit.version (what, order_id, order_number, rep, status, payment_status, total)
        values ('order', new.id, new.order_number, new.sales_rep_id, new.status, new.payment_status, new.total_amount);
    end if;
    return null;
end
$$;

create function audit.note_item() returns trigger language plpgsql as $$
begin
    if tg_op <> 'INSERT' then
        insert into audit.version (what, order_id, items) values ('item', old.order_id, -1);
    end if;
    if tg_op <> 'DELETE' then
        insert into audit.version (what, order_id, items) values ('item', new.order_id, 1);
    end if;
    return null;
end
$$;

create function audit.note_truncation() returns trigger language plpgsql as $$
begin
    insert into audit.version (what) values (tg_argv[0]);
    return null;
end
$$;

create trigger audit_order after insert or update or delete on public.orders_order
    for each row execute function audit.note_order();
create trigger audit_truncation after truncate on public.orders_order
    for each statement execute function audit.note_truncation('truncate');
create trigger audit_item after insert or update or delete on public.orders_orderitem
    for each row execute function audit.note_item();
create trigger audit_truncation after truncate on public.orders_orderitem
    for each statement execute function audit.note_truncation('truncate_items');
