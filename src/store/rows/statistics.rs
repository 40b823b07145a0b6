//! The statistics of scopes.

use std::collections::{HashMap, HashSet};

use futures_util::future::OptionFuture;
use rust_decimal::Decimal;
use tokio_postgres::Row;

use crate::order::{Money, RepId, Scope, Summary, Tally};
use crate::store::database::{Attempt, Connection, StoreError, rows, text, value};

pub(in crate::store) const SUMMARIES: &str =
    "select sales_rep_id, status, payment_status, orders, amount from live.statistics($1)";

pub(in crate::store) const TOTAL_SUMMARY: &str =
    "select status, payment_status, orders, amount from live.total_statistics()";

pub(in crate::store) fn summary_query(scope: Scope) -> &'static str {
    if scope == Scope::All { TOTAL_SUMMARY } else { SUMMARIES }
}

/// Statistics of several scopes. One without orders has the empty summary.
pub(in crate::store) async fn summaries(
    client: &impl Connection,
    scopes: &HashSet<Scope>,
) -> Result<HashMap<Scope, Summary>, StoreError> {
    let mut tallies: HashMap<Scope, Vec<Tally>> = scopes.iter().map(|scope| (*scope, Vec::new())).collect();
    let ids: Vec<i64> = scopes.iter().filter_map(|scope| scope.rep()).map(|rep| rep.0).collect();
    let of_reps: OptionFuture<_> = (!ids.is_empty()).then_some(async { rows(client, SUMMARIES, &[&ids]).await }).into();
    let of_all: OptionFuture<_> = scopes.contains(&Scope::All).then(|| rows(client, TOTAL_SUMMARY, &[])).into();
    let read =
        async { tokio::try_join!(biased; async { of_reps.await.transpose() }, async { of_all.await.transpose() }) };
    let (of_reps, of_all) = read.await.attempt("read the statistics")?;
    for row in of_reps.iter().flatten() {
        tallies.entry(Scope::Rep(RepId(value(row, "sales_rep_id")?))).or_default().push(tally(row)?);
    }
    for row in of_all.iter().flatten() {
        tallies.entry(Scope::All).or_default().push(tally(row)?);
    }
    Ok(tallies.into_iter().map(|(scope, tallies)| (scope, tallies.into_iter().collect())).collect())
}

pub(in crate::store) async fn summary(client: &impl Connection, scope: Scope) -> Result<Summary, StoreError> {
    Ok(summaries(client, &HashSet::from([scope])).await?.remove(&scope).unwrap_or_default())
}

/// A rep's statistics as their orders sum up to; of all orders, which are too many to be summed up now and then, as they are kept.
pub(in crate::store) async fn summed_up(client: &impl Connection, scope: Scope) -> Result<Summary, StoreError> {
    const OF_REP: &str = "select a.status, a.payment_status, a.orders, a.amount from live.aggregate() a \
         where a.sales_rep_id = $1::bigint";
    let read = match scope {
        Scope::Rep(rep) => rows(client, OF_REP, &[&rep.0]).await,
        Scope::All => rows(client, TOTAL_SUMMARY, &[]).await,
    };
    read.attempt("sum up the orders")?.iter().map(tally).collect()
}

fn tally(row: &Row) -> Result<Tally, StoreError> {
    let amount: Decimal = value(row, "amount")?;
    Ok(Tally {
        status: text(row, "status")?.as_str().into(),
        payment_status: text(row, "payment_status")?.as_str().into(),
        orders: value(row, "orders")?,
        amount: Money::new(amount),
    })
}
