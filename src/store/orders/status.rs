//! Changing where an order stands, by the rules, as a person at a form asks for it.

use super::edit::{LOCK_TIMEOUT, is_locked, standing, write_standing};
use crate::order::{OrderId, Refusal, Scope, Standing, Wanted};
use crate::store::database::{Attempt, Store, StoreError, host_transaction, optional_text, unless_against_rule};
use crate::store::people::SignedIn;

/// A change of where orders stand.
#[derive(Debug, Clone, Default)]
pub struct StatusChange {
    /// What they are to become.
    pub wanted: Wanted,
    /// What the user writes to it; may be empty.
    pub note: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusOutcome {
    /// It is committed.
    Changed,
    /// The rules do not allow it.
    Refused(Refusal),
    /// The order is no more what the user knows.
    Overtaken,
    /// Somebody else is changing the order and takes long.
    Locked,
    /// A rule that the tables' owner gave them forbids it: which.
    AgainstRule(String),
}

impl Store {
    /// Changes where an order stands, in a short transaction of its own, with the history that the existing application would
    /// write. Where it is known what the user has seen, only if the order is
    /// still that. Gives the order's number with what became of it;
    /// nothing where there is no such order for this user, as for whoever may not see all of them.
    ///
    /// # Errors
    /// If the database can't be reached. Nothing is written then.
    pub async fn change_status(
        &self,
        id: OrderId,
        known: Option<&Standing>,
        change: &StatusChange,
        user: &SignedIn,
    ) -> Result<Option<(String, StatusOutcome)>, StoreError> {
        if user.sight().is_none_or(|sight| sight.scope() != Scope::All) {
            return Ok(None);
        }
        let mut client = self.client().await?;
        let transaction = host_transaction(&mut client).await.attempt("begin the change of status")?;
        let row = transaction
            .query_one(
                "select pg_catalog.set_config('app.user', $1, true), pg_catalog.set_config('lock_timeout', $2, true),
                     (select order_number::text from public.orders_order where id operator(pg_catalog.=) $3) as order_number",
                &[&user.username, &LOCK_TIMEOUT, &id.0],
            )
            .await
            .attempt("name the user to the database")?;
        let Some(number) = optional_text(&row, "order_number")? else { return Ok(None) };
        let locked = transaction
            .query_opt(
                "select status, payment_status from public.orders_order where id operator(pg_catalog.=) $1 for no key update",
                &[&id.0],
            )
            .await;
        if is_locked(&locked) {
            return Ok(Some((number, StatusOutcome::Locked)));
        }
        let Some(row) = locked.attempt("lock the order")? else { return Ok(None) };
        let before = standing(&row)?;
        if known.is_some_and(|known| known.version() != before.version()) {
            return Ok(Some((number, StatusOutcome::Overtaken)));
        }
        let after = match before.change(&change.wanted, !change.note.is_empty()) {
            Err(refusal) => return Ok(Some((number, StatusOutcome::Refused(refusal)))),
            Ok(after) => after,
        };
        let written = write_standing(&transaction, id, (&before, &after), &change.note, user).await;
        let committed = match written.attempt("write the change of status") {
            Ok(()) => transaction.commit().await.attempt("commit the change of status"),
            Err(error) => Err(error),
        };
        Ok(Some(match unless_against_rule(committed)? {
            Ok(()) => (number, StatusOutcome::Changed),
            Err(rule) => (number, StatusOutcome::AgainstRule(rule)),
        }))
    }
}
