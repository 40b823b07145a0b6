-- What a tutorial would have you write: a trigger for each row, and the whole message in the notification.

create function public.bench_notify() returns trigger
language plpgsql as $$
begin
    perform pg_notify('bench_orders', format('{"rep":%s,"id":%s,"total_amount":%s}', new.sales_rep_id, new.id, new.total_amount));
    return null;
end
$$;

create trigger bench_notify after insert or update on public.orders_order
    for each row execute function public.bench_notify();
