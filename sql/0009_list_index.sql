-- What a rep's list is read from: each status newest first, ties by id. It covers the list's ids and its counts by
-- date. It holds no column that an order's status change would not already have to index, so that writers pay little.
-- Built concurrently, outside a transaction: nobody waits for it. The runner skips it where an index like it exists.
create index concurrently orders_order_live_list_idx
    on public.orders_order (sales_rep_id, status, created_at desc, id desc);
