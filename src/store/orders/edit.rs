//! What people change of one order here: editing and cancelling it.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::order::{DeliveryMethod, OrderId, Standing, Status};
use crate::store::database::{Attempt, Store, StoreError, host_transaction, text, unless_against_rule};
use crate::store::people::SignedIn;

/// How long a change waits for somebody else's of the same order. A person waits for it, perhaps for a hundred.
pub(in crate::store) const LOCK_TIMEOUT: &str = "2s";

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
    Refused,
    /// Somebody else changed what is to be written, or what it was decided by.
    Overtaken,
    /// Somebody else is changing the order and takes long.
    Locked,
    /// A rule that the tables' owner gave them forbids it: which.
    AgainstRule(String),
    /// There is no such order for this user.
    Gone,
}

impl Store {
    /// Writes what a rep may change, if the order is in an allowed status and what is there now is known to the writer.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is written then.
    pub async fn edit_order(
        &self,
        id: OrderId,
        edit: &Edit,
        is_known: impl Fn(&Edit) -> bool,
        user: &SignedIn,
        is_allowed: impl Fn(&Status) -> bool,
    ) -> Result<WriteOutcome, StoreError> {
        let mut client = self.client().await?;
        let transaction = host_transaction(&mut client).await.attempt("begin the edit")?;
        let locked = match lock_order(&transaction, id, user).await? {
            Ok(locked) => locked,
            Err(outcome) => return Ok(outcome),
        };
        if !is_allowed(&locked.standing.status) {
            return Ok(WriteOutcome::Refused);
        }
        if !is_known(&locked.editable) {
            return Ok(WriteOutcome::Overtaken);
        }
        let present = &locked.editable;
        let written = transaction
            .execute(
                "update public.orders_order set customer_name = coalesce($2, customer_name),
                     customer_phone = coalesce($3, customer_phone), customer_address = coalesce($4, customer_address),
                     delivery_method = coalesce($5, delivery_method),
                     delivery_address = coalesce($6, delivery_address),
                     delivery_instructions = coalesce($7, delivery_instructions),
                     customer_notes = coalesce($8, customer_notes), updated_at = pg_catalog.now()
                 where id operator(pg_catalog.=) $1",
                &[
                    &id.0,
                    &unless_same(&edit.customer_name, &present.customer_name),
                    &unless_same(&edit.customer_phone, &present.customer_phone),
                    &unless_same(&edit.customer_address, &present.customer_address),
                    &unless_same(edit.delivery_method.code(), present.delivery_method.code()),
                    &unless_same(&edit.delivery_address, &present.delivery_address),
                    &unless_same(&edit.delivery_instructions, &present.delivery_instructions),
                    &unless_same(&edit.customer_notes, &present.customer_notes),
                ],
            )
            .await
            .attempt("write the edit");
        committed(transaction, written, "commit the edit").await
    }

    /// Cancels an order, if it is in an allowed status and stands as the user knows it, with the history that the existing
    /// application would write.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is written then.
    pub async fn cancel_order(
        &self,
        id: OrderId,
        reason: &str,
        is_known: impl Fn(&Standing) -> bool,
        user: &SignedIn,
        is_allowed: impl Fn(&Status) -> bool,
    ) -> Result<WriteOutcome, StoreError> {
        let mut client = self.client().await?;
        let transaction = host_transaction(&mut client).await.attempt("begin the cancellation")?;
        let before = match lock_order(&transaction, id, user).await? {
            Ok(locked) => locked.standing,
            Err(outcome) => return Ok(outcome),
        };
        if !is_allowed(&before.status) {
            return Ok(WriteOutcome::Refused);
        }
        if !is_known(&before) {
            return Ok(WriteOutcome::Overtaken);
        }
        let after = Standing { status: Status::Cancelled, ..before.clone() };
        let written = write_standing(&transaction, id, (&before, &after), reason, user).await;
        committed(transaction, written.attempt("write the cancellation"), "commit the cancellation").await
    }
}

/// Commits what was written, unless a rule forbids it, which may show at the end alone.
async fn committed<T>(
    transaction: deadpool_postgres::Transaction<'_>,
    written: Result<T, StoreError>,
    attempted: &'static str,
) -> Result<WriteOutcome, StoreError> {
    let committed = match written {
        Ok(_) => transaction.commit().await.attempt(attempted),
        Err(error) => Err(error),
    };
    Ok(match unless_against_rule(committed)? {
        Ok(()) => WriteOutcome::Done,
        Err(rule) => WriteOutcome::AgainstRule(rule),
    })
}

/// What is to be written. A text that stays as it was read is not: a database in SQL_ASCII may hold what could only be read
/// with a mark in its place.
fn unless_same<'a>(text: &'a str, present: &str) -> Option<&'a str> {
    (text != present).then_some(text)
}

/// An order as it is while it is locked.
struct Locked {
    standing: Standing,
    editable: Edit,
}

/// Locks the order for this user's change and names the user to the triggers, or says why there is nothing to change. A
/// transaction that is dropped afterwards has changed nothing.
async fn lock_order(
    transaction: &deadpool_postgres::Transaction<'_>,
    id: OrderId,
    user: &SignedIn,
) -> Result<Result<Locked, WriteOutcome>, StoreError> {
    let Some(sight) = user.sight() else { return Ok(Err(WriteOutcome::Gone)) };
    transaction
        .execute(
            "select pg_catalog.set_config('app.user', $1, true), pg_catalog.set_config('lock_timeout', $2, true)",
            &[&user.username, &LOCK_TIMEOUT],
        )
        .await
        .attempt("name the user to the database")?;
    let row = transaction
        .query_opt(
            "select status, payment_status, customer_name, customer_phone, customer_address, delivery_method,
                 delivery_address, delivery_instructions, customer_notes
             from public.orders_order
             where id operator(pg_catalog.=) $1 and ($2::bigint is null or sales_rep_id operator(pg_catalog.=) $2)
             for no key update",
            &[&id.0, &sight.only()],
        )
        .await;
    if is_locked(&row) {
        return Ok(Err(WriteOutcome::Locked));
    }
    let row = row.attempt("lock the order")?;
    let Some(row) = row else { return Ok(Err(WriteOutcome::Gone)) };
    Ok(Ok(Locked { standing: standing(&row)?, editable: edit(&row)? }))
}

/// Whether somebody else had the order for longer than [`LOCK_TIMEOUT`].
pub(in crate::store) fn is_locked<T>(row: &Result<T, tokio_postgres::Error>) -> bool {
    row.as_ref().is_err_and(|error| error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
}

pub(in crate::store) fn standing(row: &Row) -> Result<Standing, StoreError> {
    Ok(Standing {
        status: text(row, "status")?.as_str().into(),
        payment_status: text(row, "payment_status")?.as_str().into(),
    })
}

/// Writes where a locked order stands, with the history that the existing application would write.
pub(in crate::store) async fn write_standing(
    transaction: &deadpool_postgres::Transaction<'_>,
    id: OrderId,
    (before, after): (&Standing, &Standing),
    note: &str,
    user: &SignedIn,
) -> Result<(), tokio_postgres::Error> {
    transaction
        .execute(
            "with asked (old_status, new_status, old_payment, new_payment) as (
                 values ($2::text, $3::text, $4::text, $5::text)
             ), changed as (
                 update public.orders_order o
                 set status = a.new_status, payment_status = a.new_payment, updated_at = pg_catalog.now(),
                     confirmed_at = case when r.reached operator(pg_catalog.=) 'confirmed' then pg_catalog.now() else o.confirmed_at end,
                     shipped_at = case when r.reached operator(pg_catalog.=) 'shipped' then pg_catalog.now() else o.shipped_at end,
                     delivered_at = case when r.reached operator(pg_catalog.=) 'delivered' then pg_catalog.now() else o.delivered_at end
                 from asked a
                 cross join lateral (
                     select case when a.new_status operator(pg_catalog.<>) a.old_status then a.new_status end
                 ) r (reached)
                 where o.id operator(pg_catalog.=) $1
             )
             insert into public.orders_orderstatushistory (order_id, old_status, new_status, old_payment_status,
                 new_payment_status, notes, changed_by_id, changed_at)
             select $1, a.old_status, a.new_status, a.old_payment, a.new_payment, $6, $7, pg_catalog.now()
             from asked a",
            &[
                &id.0,
                &before.status.code(),
                &after.status.code(),
                &before.payment_status.code(),
                &after.payment_status.code(),
                &note,
                &user.id.0,
            ],
        )
        .await?;
    Ok(())
}

pub(in crate::store) fn edit(row: &Row) -> Result<Edit, StoreError> {
    Ok(Edit {
        customer_name: text(row, "customer_name")?,
        customer_phone: text(row, "customer_phone")?,
        customer_address: text(row, "customer_address")?,
        delivery_method: text(row, "delivery_method")?.as_str().into(),
        delivery_address: text(row, "delivery_address")?,
        delivery_instructions: text(row, "delivery_instructions")?,
        customer_notes: text(row, "customer_notes")?,
    })
}
