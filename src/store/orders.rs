//! One order: its page, and the changes that people make to it here.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use tokio_postgres::Row;

use super::dashboard::{ROW_COLUMNS, order_row};
use super::events::{EVENT_COLUMNS, order_event};
use super::{Attempt, Parameters, SignedIn, Store, StoreError, one_snapshot};
use crate::order::{DeliveryMethod, Money, OrderEvent, OrderId, OrderRow, PaymentStatus, RepId, Status};

/// How many events of an order its page shows.
const TIMELINE_LENGTH: i64 = 200;

/// Everything that an order's page shows.
#[derive(Debug)]
pub struct OrderDetail {
    /// Whose order it is.
    pub rep: Option<RepId>,
    /// What the list shows of it.
    pub row: OrderRow,
    /// What a rep may change.
    pub editable: Edit,
    /// Amounts before the total, by what they are for.
    pub amounts: Vec<(&'static str, Option<Money>)>,
    /// Whether a prescription is needed, and verified.
    pub prescription: (bool, bool),
    /// The ordered medicines.
    pub items: Vec<Item>,
    /// What happened to it, newest first.
    pub timeline: Vec<Timeline>,
}

/// One line of an order.
#[derive(Debug)]
pub struct Item {
    /// The medicine's name, strength and form.
    pub medicine: String,
    /// How many units.
    pub quantity: i32,
    /// Of what.
    pub unit: String,
    /// Price of one.
    pub unit_price: Option<Money>,
    /// Price of all.
    pub total_price: Option<Money>,
}

/// One entry of an order's timeline.
#[derive(Debug)]
pub enum Timeline {
    /// As the triggers recorded it, for a change by any client.
    Event(Box<OrderEvent>),
    /// As an application wrote it, with a note.
    History {
        /// When.
        at: DateTime<Utc>,
        /// The user's login.
        by: String,
        /// From and to.
        status: (Status, Status),
        /// From and to.
        payment_status: (PaymentStatus, PaymentStatus),
        /// What the user wrote.
        notes: String,
    },
}

impl Timeline {
    fn at(&self) -> DateTime<Utc> {
        match self {
            Self::Event(event) => event.at,
            Self::History { at, .. } => *at,
        }
    }
}

/// What a rep may change of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// At most 100 characters.
    pub customer_name: String,
    /// At most 15 characters.
    pub customer_phone: String,
    /// Any length.
    pub customer_address: String,
    /// How it gets to the customer.
    pub delivery_method: DeliveryMethod,
    /// Where to, if delivered.
    pub delivery_address: String,
    /// How to find it.
    pub delivery_instructions: String,
    /// What the customer said.
    pub customer_notes: String,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is committed.
    Done,
    /// The order is in a status in which it may not be written so.
    Refused(Status),
    /// Somebody else changed what is to be written; this is what they made of it.
    Overtaken(Box<Edit>),
    /// There is no such order for this user.
    Gone,
}

impl Store {
    /// Everything that an order's page shows; of one rep's order only, if a rep is given, and of its time with another
    /// rep nothing.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn order(&self, id: OrderId, only: Option<RepId>) -> Result<Option<OrderDetail>, StoreError> {
        let mut client = self.client().await?;
        let transaction = one_snapshot(&mut client).await.attempt("begin reading")?;
        let sql = format!(
            "select {ROW_COLUMNS}, o.sales_rep_id, o.customer_phone, o.customer_address, o.delivery_method,
                 o.delivery_address, o.delivery_instructions, o.customer_notes, o.prescription_required,
                 o.prescription_verified, nullif(o.subtotal, 'NaN') as subtotal, nullif(o.tax_amount, 'NaN') as tax_amount,
                 nullif(o.shipping_cost, 'NaN') as shipping_cost, nullif(o.discount_amount, 'NaN') as discount_amount
             from public.orders_order o where o.id = $1 and ($2::bigint is null or o.sales_rep_id = $2)"
        );
        let only = only.map(|rep| rep.0);
        let Some(order) = transaction.query_opt(&sql, &[&id.0, &only]).await.attempt("read the order")? else {
            return Ok(None);
        };
        let events = format!(
            "select {EVENT_COLUMNS} from live.events_of($1) e
             where ($3::bigint is null or e.old_sales_rep_id = $3 or e.new_sales_rep_id = $3)
             order by e.id desc limit $2"
        );
        let (this, latest): (Parameters<'_>, Parameters<'_>) = (&[&id.0], &[&id.0, &TIMELINE_LENGTH, &only]);
        let (items, events, history) = tokio::try_join!(
            transaction.query(ITEMS, this),
            transaction.query(&events, latest),
            transaction.query(HISTORY, latest),
        )
        .attempt("read the order's items and timeline")?;
        transaction.commit().await.attempt("end reading")?;
        let events = events.iter().map(order_event).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(OrderDetail {
            rep: order.get::<_, Option<i64>>("sales_rep_id").map(RepId),
            row: order_row(&order)?,
            editable: edit(&order),
            amounts: vec![
                ("Subtotal", money(&order, "subtotal")?),
                ("Tax", money(&order, "tax_amount")?),
                ("Shipping", money(&order, "shipping_cost")?),
                ("Discount", money(&order, "discount_amount")?),
            ],
            prescription: (order.get("prescription_required"), order.get("prescription_verified")),
            items: items.iter().map(item).collect::<Result<_, _>>()?,
            timeline: timeline(events, &history),
        }))
    }

    /// Writes what a rep may change, if the order is in one of the statuses and what is there now is known to the writer.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is written then.
    pub async fn edit_order(
        &self,
        id: OrderId,
        edit: &Edit,
        is_known: impl Fn(&Edit) -> bool,
        user: &SignedIn,
        allowed: &[Status],
    ) -> Result<WriteOutcome, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.attempt("begin the edit")?;
        let outcome = lock_order(&transaction, id, user, allowed).await?.and_then(|locked| {
            if is_known(&locked.editable) { Ok(()) } else { Err(WriteOutcome::Overtaken(Box::new(locked.editable))) }
        });
        if outcome.is_ok() {
            transaction
                .execute(
                    "update public.orders_order set customer_name = $2, customer_phone = $3, customer_address = $4,
                         delivery_method = $5, delivery_address = $6, delivery_instructions = $7, customer_notes = $8,
                         updated_at = now()
                     where id = $1",
                    &[
                        &id.0,
                        &edit.customer_name,
                        &edit.customer_phone,
                        &edit.customer_address,
                        &edit.delivery_method.code(),
                        &edit.delivery_address,
                        &edit.delivery_instructions,
                        &edit.customer_notes,
                    ],
                )
                .await
                .attempt("write the edit")?;
        }
        transaction.commit().await.attempt("commit the edit")?;
        Ok(outcome.map_or_else(|refusal| refusal, |()| WriteOutcome::Done))
    }

    /// Cancels an order, if it is in one of the statuses, with the history that the existing application would write.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is written then.
    pub async fn cancel_order(
        &self,
        id: OrderId,
        reason: &str,
        user: &SignedIn,
        allowed: &[Status],
    ) -> Result<WriteOutcome, StoreError> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await.attempt("begin the cancellation")?;
        let outcome = lock_order(&transaction, id, user, allowed).await?;
        if let Ok(Locked { status, payment_status, .. }) = &outcome {
            transaction
                .execute(
                    "with cancelled as (
                         update public.orders_order set status = 'cancelled', updated_at = now() where id = $1
                     )
                     insert into public.orders_orderstatushistory (order_id, old_status, new_status, old_payment_status,
                         new_payment_status, notes, changed_by_id, changed_at)
                     values ($1, $2, 'cancelled', $3, $3, $4, $5, now())",
                    &[&id.0, &status.code(), &payment_status.code(), &reason, &user.id.0],
                )
                .await
                .attempt("write the cancellation")?;
        }
        transaction.commit().await.attempt("commit the cancellation")?;
        Ok(outcome.map_or_else(|refusal| refusal, |_| WriteOutcome::Done))
    }

    /// The id of the order with that number.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn order_by_number(&self, number: &str) -> Result<Option<OrderId>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_opt("select id from public.orders_order where order_number = $1", &[&number])
            .await
            .attempt("look up the order's number")?;
        Ok(row.map(|row| OrderId(row.get(0))))
    }
}

/// An order as it is while it is locked.
struct Locked {
    status: Status,
    payment_status: PaymentStatus,
    editable: Edit,
}

/// Locks the order for this user's change and names the user to the triggers. `Err` is why it may not be written.
async fn lock_order(
    transaction: &deadpool_postgres::Transaction<'_>,
    id: OrderId,
    user: &SignedIn,
    allowed: &[Status],
) -> Result<Result<Locked, WriteOutcome>, StoreError> {
    let only = user.as_rep().map(|rep| rep.0);
    transaction
        .execute("select set_config('app.user', $1, true)", &[&user.username])
        .await
        .attempt("name the user to the database")?;
    let row = transaction
        .query_opt(
            "select status, payment_status, customer_name, customer_phone, customer_address, delivery_method,
                 delivery_address, delivery_instructions, customer_notes
             from public.orders_order
             where id = $1 and ($2::bigint is null or sales_rep_id = $2) for no key update",
            &[&id.0, &only],
        )
        .await
        .attempt("lock the order")?;
    let Some(row) = row else { return Ok(Err(WriteOutcome::Gone)) };
    let status = Status::from(row.get::<_, &str>("status"));
    if !allowed.contains(&status) {
        return Ok(Err(WriteOutcome::Refused(status)));
    }
    let payment_status = PaymentStatus::from(row.get::<_, &str>("payment_status"));
    Ok(Ok(Locked { status, payment_status, editable: edit(&row) }))
}

const ITEMS: &str = "select m.name, m.strength, m.dosage_form, i.quantity, i.unit,
         nullif(i.unit_price, 'NaN') as unit_price, nullif(i.total_price, 'NaN') as total_price
     from public.orders_orderitem i join public.inventory_medicine m on m.id = i.medicine_id
     where i.order_id = $1 order by i.id";

const HISTORY: &str = "select h.changed_at, u.username, h.old_status, h.new_status, h.old_payment_status,
         h.new_payment_status, h.notes
     from public.orders_orderstatushistory h join public.accounts_user u on u.id = h.changed_by_id
     where h.order_id = $1 and isfinite(h.changed_at)
       and ($3::bigint is null or h.changed_at >= coalesce((
           select max(e.at) from live.events_of($1) e
           where e.new_sales_rep_id = $3 and e.old_sales_rep_id <> $3), '-infinity'))
     order by h.changed_at desc, h.id desc limit $2";

fn edit(row: &Row) -> Edit {
    Edit {
        customer_name: row.get("customer_name"),
        customer_phone: row.get("customer_phone"),
        customer_address: row.get("customer_address"),
        delivery_method: row.get::<_, &str>("delivery_method").into(),
        delivery_address: row.get("delivery_address"),
        delivery_instructions: row.get("delivery_instructions"),
        customer_notes: row.get("customer_notes"),
    }
}

fn item(row: &Row) -> Result<Item, StoreError> {
    let parts: [String; 3] = [row.get("name"), row.get("strength"), row.get("dosage_form")];
    let named: Vec<&str> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    Ok(Item {
        medicine: named.join(" "),
        quantity: row.get("quantity"),
        unit: row.get("unit"),
        unit_price: money(row, "unit_price")?,
        total_price: money(row, "total_price")?,
    })
}

fn money(row: &Row, column: &str) -> Result<Option<Money>, StoreError> {
    let amount: Option<Decimal> = row.try_get(column).map_err(|cause| StoreError::unreadable("an amount", cause))?;
    Ok(amount.map(Money::new))
}

/// An application that writes history also fires the triggers: of such a pair only the history, which has the note and
/// the user, is shown. `now()` is the transaction's begin, so the event comes within the transaction's length after it.
fn timeline(events: Vec<OrderEvent>, history: &[Row]) -> Vec<Timeline> {
    let history = history.iter().map(|row| Timeline::History {
        at: row.get("changed_at"),
        by: row.get("username"),
        status: (row.get::<_, &str>("old_status").into(), row.get::<_, &str>("new_status").into()),
        payment_status: (
            row.get::<_, &str>("old_payment_status").into(),
            row.get::<_, &str>("new_payment_status").into(),
        ),
        notes: row.get("notes"),
    });
    let history: Vec<Timeline> = history.collect();
    let told_by_history = |event: &OrderEvent| {
        history.iter().any(|entry| match entry {
            Timeline::History { at, status, .. } => {
                event.status == (Some(status.0.clone()), Some(status.1.clone()))
                    && status.0 != status.1
                    && (event.at - *at).abs() < chrono::TimeDelta::seconds(5)
            }
            Timeline::Event(_) => false,
        })
    };
    let mut entries: Vec<Timeline> = events
        .into_iter()
        .filter(|event| !told_by_history(event))
        .map(|event| Timeline::Event(Box::new(event)))
        .collect();
    entries.extend(history);
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at()));
    entries
}
