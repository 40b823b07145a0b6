-- Some 2,000 plausible orders of the last two months for the demonstration, the same every time. Runs once, on an empty
-- database, after the demonstration's users were created.

select setseed(0.4242);
select set_config('app.user', 'import', true);

insert into public.inventory_medicine (name, generic_name, strength, dosage_form, unit_price) values
    ('Biogesic', 'Paracetamol', '500 mg', 'tablet', 4.50), ('Amoxil', 'Amoxicillin', '500 mg', 'capsule', 12.75),
    ('Losartan', 'Losartan potassium', '50 mg', 'tablet', 9.00), ('Glucophage', 'Metformin', '850 mg', 'tablet', 11.25),
    ('Norvasc', 'Amlodipine', '5 mg', 'tablet', 18.50), ('Lipitor', 'Atorvastatin', '20 mg', 'tablet', 34.00),
    ('Ventolin', 'Salbutamol', '100 mcg', 'inhaler', 420.00), ('Zyrtec', 'Cetirizine', '10 mg', 'tablet', 22.00),
    ('Nexium', 'Esomeprazole', '40 mg', 'tablet', 58.00), ('Plavix', 'Clopidogrel', '75 mg', 'tablet', 46.50),
    ('Augmentin', 'Co-amoxiclav', '625 mg', 'tablet', 61.00), ('Ponstan', 'Mefenamic acid', '500 mg', 'capsule', 19.75),
    ('Diamicron', 'Gliclazide', '60 mg', 'tablet', 27.30), ('Seretide', 'Fluticasone/salmeterol', '250 mcg', 'inhaler', 985.00),
    ('Ferlin', 'Ferrous sulfate', '30 ml', 'syrup', 148.00), ('Enervon', 'Multivitamins', '100s', 'tablet', 620.00),
    ('Solmux', 'Carbocisteine', '500 mg', 'capsule', 9.80), ('Insulatard', 'Human insulin', '100 IU/ml', 'vial', 780.00),
    ('Betadine', 'Povidone-iodine', '60 ml', 'solution', 132.00), ('Hydrite', 'Oral rehydration salts', '4.1 g', 'sachet', 14.00);

create temporary table draft on commit drop as
select row_number() over (order by created_at) as n, d.*
from (
    select
        now() - make_interval(secs => 60 * 86400 * power(random(), 2.2)) as created_at,
        random() as fate, random() as paid, random() as way, random() as rep, random() as first, random() as last,
        random() as street, random() as city
    from generate_series(1, 2000)
) d;

insert into public.orders_order (
    order_number, sales_rep_id, customer_name, customer_phone, customer_address, status, payment_status, subtotal,
    tax_amount, shipping_cost, discount_amount, total_amount, delivery_method, delivery_address, delivery_instructions,
    prescription_required, prescription_verified, created_at, updated_at, customer_notes, internal_notes
)
select
    'ORD-' || to_char(d.created_at, 'YYYY') || '-' || lpad(d.n::text, 5, '0'),
    reps.ids[1 + floor(d.rep * d.rep * cardinality(reps.ids))::int],
    names.firsts[1 + floor(d.first * cardinality(names.firsts))::int] || ' '
        || names.lasts[1 + floor(d.last * cardinality(names.lasts))::int],
    '+63917' || lpad(floor(d.street * 9999999)::text, 7, '0'),
    a.address,
    s.status,
    case
        when s.status = 'delivered' then case when d.paid < 0.93 then 'paid' else 'refunded' end
        when s.status = 'returned' then case when d.paid < 0.7 then 'refunded' else 'partially_refunded' end
        when s.status = 'cancelled' then case when d.paid < 0.3 then 'failed' else 'pending' end
        when d.paid < 0.55 then 'paid'
        when d.paid < 0.6 then 'failed'
        else 'pending'
    end,
    0, 0, case when d.way < 0.6 then 120.00 else 0 end, 0, 0,
    case when d.way < 0.6 then 'delivery' else 'pickup' end,
    case when d.way < 0.6 then a.address else '' end,
    case when d.way < 0.15 then 'Leave with the guard.' when d.way < 0.25 then 'Call on arrival.' else '' end,
    d.street < 0.4, d.street < 0.3, d.created_at, d.created_at, '', ''
from draft d
cross join lateral (
    select array_agg(u.id order by u.id) as ids from public.accounts_user u where u.role = 'sales_rep'
) reps
cross join (values (
    array['Maria', 'Jose', 'Ana', 'Ramon', 'Luz', 'Carlo', 'Grace', 'Miguel', 'Teresa', 'Paolo', 'Joy', 'Andres', 'Liza',
          'Noel', 'Cecilia', 'Dante', 'Rosario', 'Benjie', 'Imelda', 'Arnel'],
    array['Santos', 'Reyes', 'Cruz', 'Bautista', 'Ocampo', 'Garcia', 'Mendoza', 'Torres', 'Castillo', 'Flores',
          'Villanueva', 'Ramos', 'Aquino', 'Navarro', 'Salazar', 'Mercado', 'Dela Cruz', 'Pascual', 'Domingo', 'Soriano']
)) names (firsts, lasts)
cross join lateral (
    select (1 + floor(d.street * 240))::text || ' '
        || (array['Rizal St', 'Mabini Ave', 'Bonifacio St', 'Luna St', 'Del Pilar St'])[1 + floor(d.last * 5)::int] || ', '
        || (array['Quezon City', 'Makati', 'Cebu City', 'Davao City', 'Iloilo City', 'Baguio'])[1 + floor(d.city * 6)::int]
        as address
) a
cross join lateral (
    select case
        when d.created_at > now() - interval '36 hours' then
            (array['pending', 'pending', 'pending', 'pending', 'confirmed', 'confirmed', 'processing', 'cancelled'])[1 + floor(d.fate * 8)::int]
        when d.created_at > now() - interval '6 days' then
            (array['confirmed', 'processing', 'processing', 'ready_for_pickup', 'shipped', 'shipped', 'delivered', 'cancelled'])[1 + floor(d.fate * 8)::int]
        when d.fate < 0.87 then 'delivered'
        when d.fate < 0.95 then 'cancelled'
        else 'returned'
    end as status
) s
order by d.n;

insert into public.orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price, prescription_notes, created_at)
select o.id, m.id, q.quantity, 'boxes', m.unit_price, m.unit_price * q.quantity, '', o.created_at
from public.orders_order o
cross join lateral (
    select i.id, i.unit_price from public.inventory_medicine i
    order by hashint8(o.id * 31 + i.id) limit 1 + abs(hashint8(o.id)) % 5
) m
cross join lateral (select 1 + abs(hashint8(o.id + 7 * m.id)) % 24 as quantity) q;

update public.orders_order o
set subtotal = s.subtotal, tax_amount = round(s.subtotal * 0.12, 2),
    total_amount = s.subtotal + round(s.subtotal * 0.12, 2) + o.shipping_cost
from (select order_id, sum(total_price) as subtotal from public.orders_orderitem group by order_id) s
where s.order_id = o.id;

-- The timeline tells of each order that it was entered when it says it was, and nothing of how it was made up here.
update live.order_event e set at = o.created_at from public.orders_order o where o.id = e.order_id and e.operation = 'insert';
delete from live.order_event where operation <> 'insert';
