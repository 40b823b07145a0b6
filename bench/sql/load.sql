-- Reps with orders: what every system is measured on. Tables are without triggers, so that loading is quick.
-- `plan` says how many orders each rep has; ids of reps and orders count from 1 in its order.

set session_replication_role = replica;

insert into public.accounts_user (
    id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined, role,
    phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at
)
select
    rep, 'unusable', false, 'rep' || rep, 'Rep', rep::text, '', false, true, now(), 'sales_rep', '', '', '', '', '', '',
    true, now(), now()
from bench_plan;

insert into public.inventory_medicine (id, name, generic_name, strength, dosage_form, unit_price)
values (1, 'Biogesic', 'Paracetamol', '500 mg', 'tablet', 4.50);

insert into public.orders_order (
    id, order_number, sales_rep_id, customer_name, customer_phone, customer_address, status, payment_status, subtotal,
    tax_amount, shipping_cost, discount_amount, total_amount, delivery_method, delivery_address, delivery_instructions,
    prescription_required, prescription_verified, created_at, updated_at, customer_notes, internal_notes
)
select
    n, 'ORD-' || lpad(n::text, 8, '0'), rep, 'Customer ' || n, '+639170000000', '12 Rizal St, Quezon City',
    (array['pending', 'confirmed', 'processing', 'ready_for_pickup', 'shipped', 'delivered', 'cancelled', 'returned'])[1 + n % 8],
    (array['pending', 'paid', 'failed', 'refunded', 'partially_refunded'])[1 + n % 5],
    0, 0, 0, 0, 0, 'pickup', '', '', false, false, created_at, created_at, '', ''
from (
    select
        row_number() over (order by p.rep, k) as n, p.rep,
        now() - interval '3 years' * ((k - 0.5) / p.orders) as created_at
    from bench_plan p, generate_series(1, p.orders) k
) o;

-- one order of a rep in ten has an item
insert into public.orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)
select id, 1, 2, 'boxes', 4.50, 9.00, '', created_at from public.orders_order where id % 10 = 0;

set session_replication_role = default;
drop table bench_plan;
