//! Who looks at an order now, on whichever instance of the service.

use std::sync::LazyLock;

use crate::order::OrderId;
use crate::store::database::{Attempt, Store, StoreError};
use crate::store::people::SignedIn;

/// A page that has not said for so long that it is looked at is not, in seconds.
const SEEN_WITHIN: f64 = 12.0;

/// How many pages that are gone one look clears away.
const MOST_SWEPT: i64 = 100;

/// Tells one state of an order `o` from another: which transactions wrote its row, its items and its history. That is so for
/// every client, also one that keeps no time of writing, and for columns that the triggers do not record.
pub(in crate::store) const TOUCHED: &str = "hashtextextended(concat_ws(' ', o.xmin,
    (select string_agg(i.id || ':' || i.xmin, ',' order by i.id) from public.orders_orderitem i where i.order_id = o.id),
    (select string_agg(h.id || ':' || h.xmin, ',' order by h.id)
     from public.orders_orderstatushistory h where h.order_id = o.id)), 0)::text as touched";

/// What a page that is looked at is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewed {
    /// The logins of the other people who look at the order.
    pub viewers: Vec<String>,
    /// Another one after any write to the order: only to be compared.
    pub touched: String,
}

impl Store {
    /// Notes that the user looks at the order on that page, and says who else does; `None` where there is no such order for
    /// this user.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn view_order(&self, id: OrderId, page: &str, user: &SignedIn) -> Result<Option<Viewed>, StoreError> {
        let Some(sight) = user.sight() else { return Ok(None) };
        self.lend(async |client| {
            let row = client
                .query_opt(
                    &*VIEW,
                    &[&id.0, &sight.only(), &user.id.0, &page, &user.username, &SEEN_WITHIN, &MOST_SWEPT],
                )
                .await
                .attempt("note who looks at the order")?;
            Ok(row.map(|row| Viewed { viewers: row.get("viewers"), touched: row.get("touched") }))
        })
        .await
    }

    /// Notes that the user no longer looks at the order on that page.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn leave_order(&self, id: OrderId, page: &str, user: &SignedIn) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "delete from live.viewing where order_id = $1 and user_id = $2 and page = $3";
        client.execute(sql, &[&id.0, &user.id.0, &page]).await.attempt("note who left the order")?;
        Ok(())
    }
}

/// Rows that another statement holds are skipped, so that no two wait for each other; the own one, which may be old after a
/// sleep, is not swept in the statement that renews it.
static VIEW: LazyLock<String> = LazyLock::new(|| {
    format!(
        "
    with viewed as (
        select o.id::bigint as id, {TOUCHED} from public.orders_order o
        where o.id = $1 and ($2::bigint is null or o.sales_rep_id = $2)
    ), gone as (
        select v.order_id, v.user_id, v.page from live.viewing v
        where v.seen_at < now() - make_interval(secs => $6) and v.page <> $4
        limit $7 for update skip locked
    ), swept as (
        delete from live.viewing v using gone g
        where v.order_id = g.order_id and v.user_id = g.user_id and v.page = g.page
    ), noted as (
        insert into live.viewing (order_id, user_id, page, username, seen_at)
        select id, $3, $4, $5, now() from viewed
        on conflict (order_id, user_id, page) do update set seen_at = excluded.seen_at, username = excluded.username
    )
    select viewed.touched, array(
        select distinct v.username from live.viewing v
        where v.order_id = $1 and v.user_id <> $3 and v.seen_at >= now() - make_interval(secs => $6)
        order by v.username
    ) as viewers
    from viewed"
    )
});
