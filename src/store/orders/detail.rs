//! Everything that one order's page shows, in one snapshot.

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::edit::{Edit, edit};
use super::viewing::TOUCHED;
use crate::cursor::Cursor;
use crate::order::{Entry, History, Money, OrderId, OrderRow, Recorded, RepId, in_units, timeline};
use crate::store::database::{
    Attempt, Parameters, Store, StoreError, one_snapshot, optional_text, present, text, value,
};
use crate::store::people::SignedIn;
use crate::store::rows::{RECORDED_COLUMNS, ROW_COLUMNS, amount, order_event, order_row};

/// How many events of an order its page shows, and how many rows of its history.
const TIMELINE_LENGTH: i64 = 200;

/// Everything that an order's page shows.
#[derive(Debug)]
pub struct OrderDetail {
    /// The snapshot.
    pub cursor: Cursor,
    /// The name of the rep whose order it is.
    pub rep: Option<String>,
    /// What the list shows of it.
    pub row: OrderRow,
    /// What a rep may change.
    pub editable: Edit,
    /// Amounts before the total, by what they are for.
    pub amounts: Vec<(&'static str, Option<Money>)>,
    /// What is known of its prescription.
    pub prescription: Prescription,
    /// When it reached a status, by what that is called.
    pub reached: Vec<(&'static str, DateTime<Utc>)>,
    /// What pharmacists and administrators tell each other.
    pub internal_notes: String,
    /// Another one after any write to it: only to be compared.
    pub touched: String,
    /// When it was written last, as its writers say it; `None` where the database has an infinity or a year beyond 9999.
    pub updated_at: Option<DateTime<Utc>>,
    /// The ordered medicines.
    pub items: Vec<Item>,
    /// What happened to it, newest first.
    pub timeline: Vec<Entry>,
}

/// What is known of an order's prescription.
#[derive(Debug)]
pub struct Prescription {
    /// Whether one is needed.
    pub required: bool,
    /// Whether somebody has looked at it.
    pub verified: bool,
    /// The name of who has.
    pub by: Option<String>,
    /// When.
    pub at: Option<DateTime<Utc>>,
}

/// One line of an order.
#[derive(Debug)]
pub struct Item {
    /// The medicine's name, strength and form.
    pub medicine: String,
    /// How many units.
    pub quantity: i64,
    /// Of what.
    pub unit: String,
    /// Price of one.
    pub unit_price: Option<Money>,
    /// Price of all.
    pub total_price: Option<Money>,
    /// What the prescription says of it.
    pub prescription_notes: String,
}

impl Item {
    /// `3 boxes`.
    #[must_use]
    pub fn amount(&self) -> String {
        in_units(self.quantity, &self.unit)
    }
}

impl Store {
    /// Everything that an order's page shows to its reader; to a rep of an own order only, and of its time with another rep nothing.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn order(&self, id: OrderId, reader: &SignedIn) -> Result<Option<OrderDetail>, StoreError> {
        let Some(sight) = reader.sight() else { return Ok(None) };
        let only = sight.scope().rep();
        self.lend(async |client| read_order(client, id, only).await).await
    }
}

async fn read_order(
    client: &mut ClientWrapper,
    id: OrderId,
    only: Option<RepId>,
) -> Result<Option<OrderDetail>, StoreError> {
    let transaction = one_snapshot(client).await.attempt("begin reading")?;
    let sql = format!(
        "select {ROW_COLUMNS}, o.customer_phone, o.customer_address, o.delivery_method, o.delivery_address,
             o.delivery_instructions, o.customer_notes, o.internal_notes, o.prescription_required,
             o.prescription_verified, nullif(o.subtotal, 'NaN') as subtotal, nullif(o.tax_amount, 'NaN') as tax_amount,
             nullif(o.shipping_cost, 'NaN') as shipping_cost, nullif(o.discount_amount, 'NaN') as discount_amount,
             {verified_at}, {confirmed_at}, {shipped_at}, {delivered_at}, {updated_at}, {TOUCHED},
             {rep}, {verifier}
         from public.orders_order o
         left join public.accounts_user rep on rep.id = o.sales_rep_id
         left join public.accounts_user verifier on verifier.id = o.verified_by_id
         where o.id = $1 and ($2::bigint is null or o.sales_rep_id = $2)",
        verified_at = showable("verified_at"),
        confirmed_at = showable("confirmed_at"),
        shipped_at = showable("shipped_at"),
        delivered_at = showable("delivered_at"),
        updated_at = showable("updated_at"),
        rep = name_of("rep"),
        verifier = name_of("verifier"),
    );
    let only = only.map(|rep| rep.0);
    let Some(order) = transaction.query_opt(&sql, &[&id.0, &only]).await.attempt("read the order")? else {
        return Ok(None);
    };
    let events = format!(
        "select {RECORDED_COLUMNS}, e.app_user as person, null::boolean as of_new_order,
             old_rep.username as old_rep, new_rep.username as new_rep
         from live.events_of($1) e
         left join public.accounts_user old_rep on old_rep.id = e.old_sales_rep_id
         left join public.accounts_user new_rep on new_rep.id = e.new_sales_rep_id
         where e.operation <> 'history' and ($3::bigint is null or e.old_sales_rep_id = $3 or e.new_sales_rep_id = $3)
         order by e.id desc limit $2"
    );
    let (this, latest): (Parameters<'_>, Parameters<'_>) = (&[&id.0], &[&id.0, &TIMELINE_LENGTH, &only]);
    // of several errors the first is the cause: those after it say only that the transaction is aborted
    let (items, events, history) = tokio::try_join!(
        biased;
        transaction.query(ITEMS, this),
        transaction.query(&events, latest),
        transaction.query(HISTORY, latest),
    )
    .attempt("read the order's items and timeline")?;
    let cursor = present(&transaction).await?;
    transaction.commit().await.attempt("end reading")?;
    // one that can't be read hides nothing else; the listener counts and logs it
    let recorded = events.iter().filter_map(|row| recorded(row).ok()).collect();
    let written = history.iter().map(written).collect::<Result<_, _>>()?;
    let reached = [("Confirmed", "confirmed_at"), ("Shipped", "shipped_at"), ("Delivered", "delivered_at")];
    Ok(Some(OrderDetail {
        cursor,
        rep: optional_text(&order, "rep")?,
        row: order_row(&order)?,
        editable: edit(&order)?,
        amounts: vec![
            ("Subtotal", amount(&order, "subtotal")),
            ("Tax", amount(&order, "tax_amount")),
            ("Shipping", amount(&order, "shipping_cost")),
            ("Discount", amount(&order, "discount_amount")),
        ],
        prescription: Prescription {
            required: value::<Option<bool>>(&order, "prescription_required")?.unwrap_or_default(),
            verified: value::<Option<bool>>(&order, "prescription_verified")?.unwrap_or_default(),
            by: optional_text(&order, "verifier")?,
            at: order.get("verified_at"),
        },
        reached: reached
            .into_iter()
            .filter_map(|(name, column)| Some((name, order.get::<_, Option<_>>(column)?)))
            .collect(),
        internal_notes: text(&order, "internal_notes")?,
        touched: order.get("touched"),
        updated_at: order.get("updated_at"),
        items: items.iter().map(item).collect::<Result<_, _>>()?,
        timeline: timeline(recorded, written),
    }))
}

/// A time of an order `o`; what no client could show becomes null.
fn showable(column: &str) -> String {
    format!(
        "case when o.{column} >= '0001-01-01' and o.{column} < '10000-01-01' then o.{column} end::timestamptz as {column}"
    )
}

/// A user's name, or the login where there is none.
fn name_of(user: &str) -> String {
    format!("coalesce(nullif(trim({user}.first_name || ' ' || {user}.last_name), ''), {user}.username)::text as {user}")
}

const ITEMS: &str =
    "select m.name, m.strength, m.dosage_form, i.quantity::bigint as quantity, i.unit, i.prescription_notes,
         nullif(i.unit_price, 'NaN') as unit_price, nullif(i.total_price, 'NaN') as total_price
     from public.orders_orderitem i join public.inventory_medicine m on m.id = i.medicine_id
     where i.order_id = $1 order by i.id";

const HISTORY: &str =
    "select h.id::bigint as id, h.xmin::text as xid, h.changed_at, u.username, h.old_status, h.new_status,
         h.old_payment_status, h.new_payment_status, h.notes
     from public.orders_orderstatushistory h join public.accounts_user u on u.id = h.changed_by_id
     where h.order_id = $1 and h.changed_at >= '0001-01-01' and h.changed_at < '10000-01-01'
       and ($3::bigint is null or h.changed_at >= greatest(
           (select max(e.at) from live.events_of($1) e
            where e.operation = 'update' and e.new_sales_rep_id = $3 and e.old_sales_rep_id is distinct from $3),
           (select a.at from live.arrival a where a.order_id = $1), '-infinity'))
     order by h.changed_at desc, h.id desc limit $2";

fn item(row: &Row) -> Result<Item, StoreError> {
    let parts = [text(row, "name")?, text(row, "strength")?, text(row, "dosage_form")?];
    let named: Vec<&str> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    Ok(Item {
        medicine: named.join(" "),
        quantity: value(row, "quantity")?,
        unit: text(row, "unit")?,
        unit_price: amount(row, "unit_price"),
        total_price: amount(row, "total_price"),
        prescription_notes: text(row, "prescription_notes")?,
    })
}

fn recorded(row: &Row) -> Result<Recorded, StoreError> {
    Ok(Recorded {
        id: row.get("event_id"),
        event: order_event(row)?,
        reps: (optional_text(row, "old_rep")?, optional_text(row, "new_rep")?),
    })
}

fn written(row: &Row) -> Result<History, StoreError> {
    let xid = text(row, "xid")?.parse().map_err(|cause| StoreError::unreadable("a transaction id", cause))?;
    Ok(History {
        id: row.get("id"),
        xid,
        at: row.get("changed_at"),
        by: text(row, "username")?,
        status: (text(row, "old_status")?.as_str().into(), text(row, "new_status")?.as_str().into()),
        payment_status: (
            text(row, "old_payment_status")?.as_str().into(),
            text(row, "new_payment_status")?.as_str().into(),
        ),
        notes: text(row, "notes")?,
    })
}
