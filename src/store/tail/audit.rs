//! What is compared with what was told: statistics with the orders, and a stream with the database.

use std::sync::LazyLock;

use tokio_postgres::Row;

use crate::cursor::Cursor;
use crate::order::{OrderId, Scope, Summary};
use crate::store::database::{Attempt, Store, StoreError, one_snapshot, present, rows};
use crate::store::people::Sight;
use crate::store::rows::{Listed, REP_COLUMNS, ROW_COLUMNS, listed, summed_up};

/// The statistics of a rep picked at random beside the plain aggregate over their orders, in one snapshot.
const AUDIT: &str = "with picked as materialized (
         select s.sales_rep_id from live.order_stats s where s.sales_rep_id is not null order by random() limit 1
     )
     select (select p.sales_rep_id from picked p),
         count(*) filter (where (s.orders, s.amount) is distinct from (a.orders, a.amount))
     from live.statistics(array(select p.sales_rep_id from picked p)) s
     full join (
         select * from live.aggregate() g where g.sales_rep_id = (select p.sales_rep_id from picked p)
     ) a using (status, payment_status)";

/// How many orders an audit begins with, the newest of its scope, and how many it reads at most.
const FIRST: i64 = 200;
const MOST: i64 = 1_000;

/// The newest orders of a rep. The ids come from the index, of all the rep's orders: the planner might else look for them among
/// everybody's, the newest first.
static NEWEST_OF_REP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {ROW_COLUMNS} from public.orders_order o where o.id = any (array(
             select r.id from (select i.id from public.orders_order i where i.sales_rep_id = $1 offset 0) r
             order by r.id desc limit $2))"
    )
});

/// The newest of all orders.
static NEWEST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {ROW_COLUMNS}, {REP_COLUMNS} from public.orders_order o where $1::bigint is null order by o.id desc limit $2"
    )
});

/// Of a rep: these orders and all later ones.
static KNOWN_AND_LATER_OF_REP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {ROW_COLUMNS} from public.orders_order o
         where o.sales_rep_id = $1 and (o.id = any ($2) or o.id > $3) limit $4"
    )
});

/// These orders and all later ones.
static KNOWN_AND_LATER: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {ROW_COLUMNS}, {REP_COLUMNS} from public.orders_order o
         where $1::bigint is null and (o.id = any ($2) or o.id > $3) limit $4"
    )
});

/// What the database holds of a scope, in one snapshot.
#[derive(Debug)]
pub struct Held {
    /// The snapshot.
    pub cursor: Cursor,
    /// Cards and breakdown, summed up from the orders if they are one rep's.
    pub summary: Summary,
    /// Some of the orders.
    pub orders: Vec<Listed>,
    /// Whether there are more of those that were asked for.
    pub has_more: bool,
}

impl Store {
    /// Picks a rep and counts where their statistics differ from their orders. Nothing where there is no rep to pick.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn audit_statistics(&self) -> Result<Option<(i64, u64)>, StoreError> {
        let client = self.client().await?;
        let row = client.query_one(AUDIT, &[]).await.attempt("compare a rep's statistics with their orders")?;
        let (rep, different): (Option<i64>, i64) = (row.get(0), row.get(1));
        Ok(rep.map(|rep| (rep, different.unsigned_abs())))
    }

    /// What the database holds of whatever somebody may see: figures, and the newest orders.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn newest_held(&self, sight: Sight) -> Result<Held, StoreError> {
        let sql = if sight.only().is_some() { &NEWEST_OF_REP } else { &NEWEST };
        self.held(sight.scope(), async |client| rows(client, sql, &[&sight.only(), &FIRST]).await).await
    }

    /// The same with these orders, and all that are later than one.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn held_of(&self, sight: Sight, known: &[OrderId], later: OrderId) -> Result<Held, StoreError> {
        let sql = if sight.only().is_some() { &KNOWN_AND_LATER_OF_REP } else { &KNOWN_AND_LATER };
        let known: Vec<i64> = known.iter().map(|id| id.0).collect();
        let read = async |client: &deadpool_postgres::Transaction<'_>| {
            rows(client, sql, &[&sight.only(), &known, &later.0, &MOST]).await
        };
        self.held(sight.scope(), read).await
    }

    async fn held(
        &self,
        scope: Scope,
        read: impl AsyncFnOnce(&deadpool_postgres::Transaction<'_>) -> Result<Vec<Row>, tokio_postgres::Error>,
    ) -> Result<Held, StoreError> {
        self.lend_to_search(async |client| {
            let transaction = one_snapshot(client).await.attempt("begin reading")?;
            let cursor = present(&transaction).await?;
            let summary = summed_up(&transaction, scope).await?;
            let read = read(&transaction).await.attempt("read the orders to compare")?;
            transaction.commit().await.attempt("end reading")?;
            let orders = read.iter().map(|row| listed(row, scope)).collect::<Result<Vec<_>, _>>()?;
            Ok(Held { cursor, summary, has_more: read.len() as i64 >= MOST, orders })
        })
        .await
    }
}
