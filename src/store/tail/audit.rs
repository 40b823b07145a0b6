//! Whether the statistics are what the orders say.

use crate::store::database::{Attempt, Store, StoreError};

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
}
