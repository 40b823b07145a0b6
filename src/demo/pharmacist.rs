//! A pharmacist at work: changes an order every second or two, by plain SQL on a connection of their own.

use std::time::Duration;

use rand::Rng;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use crate::order::Status;
use crate::store::chain;

/// How long the pharmacist thinks between two changes.
const THINKING: std::ops::Range<u64> = 900..2_100;

/// One change in so many is a new order coming in, so that there is always work.
const ORDERS_PER_ARRIVAL: u32 = 6;

/// Works until told to stop; reconnects if the database goes away.
pub(super) async fn work(url: String, stop: CancellationToken) {
    let working = async {
        loop {
            if let Err(error) = shift(&url).await {
                tracing::warn!(error = chain(&error), "the simulated pharmacist lost the database");
            }
            think().await;
        }
    };
    tokio::select! { () = stop.cancelled() => {}, () = working => {} }
}

async fn shift(url: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let driver = tokio::spawn(connection);
    client.batch_execute("set application_name = 'pharmacy'; select set_config('app.user', 'rx', false)").await?;
    let outcome = async {
        loop {
            think().await;
            if rand::rng().random_ratio(1, ORDERS_PER_ARRIVAL) {
                client.batch_execute(ARRIVAL).await?;
            } else {
                advance(&client).await?;
            }
        }
    };
    let outcome = outcome.await;
    driver.abort();
    outcome
}

async fn think() {
    let pause = rand::rng().random_range(THINKING);
    tokio::time::sleep(Duration::from_millis(pause)).await;
}

/// The next step of a random unfinished order, with the history that the existing application would write.
async fn advance(client: &Client) -> Result<(), tokio_postgres::Error> {
    let unfinished: Vec<&str> = Status::unfinished().map(Status::code).collect();
    client
        .execute(
            "with chosen as (
                 select id, status, payment_status, delivery_method from public.orders_order
                 where status = any ($1)
                 order by random() limit 1 for no key update
             ), next as (
                 select c.*,
                     case
                         when status = 'pending' and random() < 0.08 then 'cancelled'
                         when status = 'pending' then 'confirmed'
                         when status = 'confirmed' then 'processing'
                         when status = 'processing' and delivery_method = 'pickup' then 'ready_for_pickup'
                         when status = 'processing' then 'shipped'
                         when payment_status = 'paid' then 'delivered'
                         else status
                     end as new_status,
                     case
                         when status in ('ready_for_pickup', 'shipped') then 'paid'
                         when payment_status = 'pending' and random() < 0.25 then 'paid'
                         else payment_status
                     end as new_payment_status
                 from chosen c
             ), changed as (
                 update public.orders_order o
                 set status = n.new_status, payment_status = n.new_payment_status, updated_at = now(),
                     confirmed_at = case when n.new_status = 'confirmed' then now() else o.confirmed_at end,
                     shipped_at = case when n.new_status = 'shipped' then now() else o.shipped_at end,
                     delivered_at = case when n.new_status = 'delivered' then now() else o.delivered_at end
                 from next n where o.id = n.id
             )
             insert into public.orders_orderstatushistory (order_id, old_status, new_status, old_payment_status,
                 new_payment_status, notes, changed_by_id, changed_at)
             select n.id, n.status, n.new_status, n.payment_status, n.new_payment_status, '', u.id, now()
             from next n join public.accounts_user u on u.username = 'rx'
             where (n.status, n.payment_status) is distinct from (n.new_status, n.new_payment_status)",
            &[&unfinished],
        )
        .await?;
    Ok(())
}

/// A new order with the items of an older one.
const ARRIVAL: &str = "
    with model as (
        select * from public.orders_order order by random() limit 1
    ), entered as (
        insert into public.orders_order (order_number, sales_rep_id, customer_name, customer_phone, customer_address, status,
            payment_status, subtotal, tax_amount, shipping_cost, discount_amount, total_amount, delivery_method,
            delivery_address, delivery_instructions, prescription_required, prescription_verified, created_at, updated_at,
            customer_notes, internal_notes)
        select 'ORD-' || to_char(now(), 'YYYY') || '-' || lpad((select max(id) + 1 from public.orders_order)::text, 5, '0'),
            sales_rep_id, customer_name, customer_phone, customer_address, 'pending', 'pending', subtotal, tax_amount,
            shipping_cost, discount_amount, total_amount, delivery_method, delivery_address, delivery_instructions,
            prescription_required, false, now(), now(), '', ''
        from model
        returning id
    )
    insert into public.orders_orderitem (order_id, medicine_id, quantity, unit, unit_price, total_price,
        prescription_notes, created_at)
    select e.id, i.medicine_id, i.quantity, i.unit, i.unit_price, i.total_price, i.prescription_notes, now()
    from entered e, model m join public.orders_orderitem i on i.order_id = m.id";
