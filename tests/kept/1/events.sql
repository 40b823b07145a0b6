-- Events as the triggers of version 1 wrote them, one of each operation that tells of an order; in two transactions,
-- of which the first enters it. They are never changed.
insert into live.order_event (at, operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
    old_payment_status, new_payment_status, old_total, new_total, items_delta, other, app_user, application)
values
    ('2026-01-02 03:00:01Z', 'insert', 1, 'ORD-1', null, 1, null, 'pending', null, 'pending', null, 5.00, null, null, 'rx', 'psql');

insert into live.order_event (at, operation, order_id, order_number, old_sales_rep_id, new_sales_rep_id, old_status, new_status,
    old_payment_status, new_payment_status, old_total, new_total, items_delta, other, app_user, application)
values
    ('2026-01-02 03:00:02Z', 'update', 1, 'ORD-1', 1, 1, 'pending', 'confirmed', 'pending', 'paid', 5.00, 5.00, null, null, 'rx', 'psql'),
    ('2026-01-02 03:00:03Z', 'update', 1, 'ORD-1', 1, 1, 'confirmed', 'confirmed', 'paid', 'paid', 5.00, 7.50, null,
        '{"customer_name": ["Ann", "Bob"]}', null, 'nightly'),
    ('2026-01-02 03:00:04Z', 'update', 2, 'ORD-2', 2, 1, 'shipped', 'shipped', 'paid', 'paid', 9.00, 9.00, null, null, 'boss', 'psql'),
    ('2026-01-02 03:00:05Z', 'update', 3, 'ORD-3', 1, 2, 'pending', 'cancelled', 'paid', 'paid', 9.00, 9.00, null, null, 'boss', 'psql'),
    ('2026-01-02 03:00:06Z', 'delete', 9, 'ORD-9', 1, null, 'pending', null, 'paid', null, 4.00, null, null, null, 'boss', 'psql'),
    ('2026-01-02 03:00:07Z', 'items', 1, 'ORD-1', 1, 1, null, null, null, null, null, null, 2, null, 'rx', 'psql'),
    ('2026-01-02 03:00:08Z', 'history', 1, null, null, null, null, null, null, null, null, null, null, null, 'rx', 'psql'),
    ('2026-01-02 03:00:09Z', 'update', 2, 'ORD-2', 2, 2, 'pending', 'shipped', 'paid', 'paid', 9.00, 9.00, null, null, 'rx', 'psql');
