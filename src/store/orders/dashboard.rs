//! A dashboard: statistics, one page of the list, and rows by id, all in one snapshot.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;

use chrono_tz::Tz;
use deadpool_postgres::ClientWrapper;

use super::list::{self, Asked};
use super::status_since::{STATUS_SINCE, StatusSince, status_since};
use crate::cursor::Cursor;
use crate::order::{Filter, OrderId, PageNumber, Pagination, Summary};
use crate::store::database::{
    Attempt, BEGIN_WITH_ORDERS, SELECT_PRESENT, Store, StoreError, one_snapshot, prepare, present,
};
use crate::store::people::Sight;
use crate::store::rows::{Listed, rows_by_id, rows_by_id_query, summary, summary_query};

/// One answer of the dashboard, in one snapshot.
#[derive(Debug)]
pub struct Dashboard {
    /// The snapshot.
    pub cursor: Cursor,
    /// Cards and breakdown, over all orders of the scope.
    pub summary: Summary,
    /// The page of the list.
    pub rows: Vec<Listed>,
    /// Which page it is.
    pub pagination: Pagination,
    /// The orders asked for by id, as far as they are of the scope.
    pub visible: Vec<Listed>,
    /// Those of them that are on the list, on whatever page.
    pub fitting: HashSet<OrderId>,
    /// Since when the orders that the reader shows are in their status.
    pub status_since: StatusSince,
}

/// The orders that the reader of a dashboard shows.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// Those of the list: a page is being made.
    List,
    /// These: the page is there, and whatever the list is now, it wants their present state.
    Orders(&'a [OrderId]),
}

impl Store {
    /// The dashboard of who may see these orders under a filter, and those of them that are among the shown.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn dashboard(
        &self,
        sight: Sight,
        filter: &Filter,
        shown: Shown<'_>,
        zone: Tz,
    ) -> Result<Dashboard, StoreError> {
        let scope = sight.scope();
        self.statistics_read.store(true, Relaxed);
        let visible = match shown {
            Shown::List => &[],
            Shown::Orders(ids) => ids,
        };
        let read = async |client: &mut ClientWrapper| {
            let asked = Asked { scope, filter, zone };
            // since when the list's orders are in their status can't be asked before they are known
            if filter.page == PageNumber::FIRST
                && asked.is_of_whole_statuses()
                && matches!(shown, Shown::Orders(_))
                && let Some(dashboard) = first_page(client, &asked, visible).await?
            {
                return Ok(dashboard);
            }
            let transaction = one_snapshot(client).await.attempt("begin reading")?;
            if !filter.is_bounded() {
                list::limit_search(&transaction).await?;
            }
            let (cursor, summary, visible) = tokio::try_join!(
                biased;
                present(&transaction),
                summary(&transaction, scope),
                rows_by_id(&transaction, scope, visible)
            )?;
            let (pagination, rows) = if filter.is_indexed() {
                list::indexed(&transaction, &asked, &summary).await?
            } else {
                list::searched(&transaction, &asked).await?
            };
            let status_since = match shown {
                Shown::List => status_since(&transaction, rows.iter().map(|listed| listed.row.id)).await?,
                Shown::Orders(ids) => status_since(&transaction, ids.iter().copied()).await?,
            };
            let fitting = asked.fitting(&transaction, &visible).await?;
            transaction.commit().await.attempt("end reading")?;
            Ok(Dashboard { cursor, summary, rows, pagination, visible, fitting, status_since })
        };
        if filter.is_bounded() { self.lend(read).await } else { self.lend_to_search(read).await }
    }
}

/// The most frequent read, all of it sent at once. `None` where it turns out that the list has statuses that nobody could
/// know of before the statistics were read.
async fn first_page(
    client: &ClientWrapper,
    asked: &Asked<'_>,
    visible: &[OrderId],
) -> Result<Option<Dashboard>, StoreError> {
    let scope = asked.scope;
    let statements =
        [&SELECT_PRESENT, summary_query(scope), asked.indexed_query(), rows_by_id_query(scope), &STATUS_SINCE];
    prepare(client, &statements).await.attempt("prepare to read")?;
    let ((), cursor, summary, rows, status_since, visible, ()) = tokio::try_join!(
        biased;
        async { client.batch_execute(&BEGIN_WITH_ORDERS).await.attempt("begin reading") },
        present(client),
        summary(client, scope),
        list::first(client, asked),
        status_since(client, visible.iter().copied()),
        rows_by_id(client, scope, visible),
        async { client.batch_execute("commit").await.attempt("end reading") },
    )?;
    if asked.filter.statuses.is_empty() && !summary.unknown_statuses.is_empty() {
        return Ok(None);
    }
    let pagination = list::pagination(asked, &summary);
    let fitting = asked.fitting(client, &visible).await?;
    Ok(Some(Dashboard { cursor, summary, rows, pagination, visible, fitting, status_since }))
}
