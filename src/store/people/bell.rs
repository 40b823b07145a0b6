//! The newest changes of a scope, and how many of them somebody has not read: both bounded, however many there are.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::preferences::{Account, Mark};
use super::session::SignedIn;
use crate::cursor::Cursor;
use crate::order::{Change, Scope, Status};
use crate::store::database::{Attempt, Parameters, Store, StoreError, one_snapshot, optional_text, present, rows};
use crate::store::rows::{EVENT_COLUMNS, order_event};

/// How many changes are listed.
pub const NEWEST_CHANGES: usize = 50;

/// Of more unread changes it is only told that there are more.
pub const MOST_UNREAD: i64 = 99;

/// How many events are looked through for them, from the newest one back.
const NEWEST_EVENTS: i64 = 20_000;

/// And where these have not enough of a rep's: some 60 ms of the server's time.
const MOST_EVENTS: i64 = 200_000;

/// The newest changes as somebody finds them, in one snapshot.
#[derive(Debug)]
pub struct Newest {
    /// The snapshot.
    pub cursor: Cursor,
    /// The newest first.
    pub changes: Vec<ListedChange>,
    /// How many changes are news to the person and not read, at most one more than [`MOST_UNREAD`].
    pub unread: i64,
    /// Up to where they had read; `None` where reading begins with this snapshot.
    pub read: Option<Mark>,
}

impl Mark {
    /// Whether the change is read.
    #[must_use]
    pub fn has(&self, listed: &ListedChange) -> bool {
        match self {
            Self::Snapshot(cursor) => cursor.snapshot.has(listed.xid),
            Self::Time(at) => listed.at <= *at,
        }
    }
}

/// One of the newest changes.
#[derive(Debug)]
pub struct ListedChange {
    /// The change as the scope's people may see it.
    pub change: Change,
    /// The transaction that made it: what tells whether a snapshot has it.
    pub xid: u64,
    /// When it was written, by the database's clock.
    pub at: DateTime<Utc>,
    /// Whether the person made it.
    pub is_own: bool,
}

impl Store {
    /// The scope's newest changes, and how many are news to the user and not read.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn newest(&self, scope: Scope, user: &SignedIn, account: &Account) -> Result<Newest, StoreError> {
        self.lend(async |client| {
            let transaction = one_snapshot(client).await.attempt("begin reading")?;
            let rep = scope.rep().map(|rep| rep.0);
            let cursor = present(&transaction).await?;
            let listed = i64::try_from(NEWEST_CHANGES).unwrap_or_default();
            let events = through_events(&transaction, &NEWEST, rep, listed, &[]).await;
            let events = events.attempt("read the newest changes")?;
            let read = account.read.as_ref().map(|read| read.mark(&cursor));
            let untold: Vec<&str> = account.preferences.untold.iter().map(Status::code).collect();
            let most = MOST_UNREAD + 1;
            let (id, name) = (&user.id.0, &user.username);
            let unread = match &read {
                Some(Mark::Snapshot(cursor)) => {
                    let snapshot = cursor.snapshot.to_string();
                    through_events(&transaction, &NOT_IN_SNAPSHOT, rep, most, &[id, name, &untold, &snapshot]).await
                }
                Some(Mark::Time(at)) => through_events(&transaction, &LATER, rep, most, &[id, name, &untold, at]).await,
                None => Ok(Vec::new()),
            };
            let unread = unread.attempt("count the unread changes")?.len();
            transaction.commit().await.attempt("end reading")?;
            let mut changes = Vec::with_capacity(events.len());
            for row in &events {
                let event = order_event(row)?;
                let is_own = event.writer.user.as_deref() == Some(user.username.as_str());
                if let Some(mut change) = event.as_seen_by(scope) {
                    let present = optional_text(row, "present_status")?;
                    change.status = change.status.or_else(|| present.as_deref().map(Status::from));
                    changes.push(ListedChange { change, xid: event.xid, at: event.at, is_own });
                }
            }
            // a long transaction's changes were made when they were, whatever its number is
            changes.sort_by_key(|listed| std::cmp::Reverse((listed.at, listed.change.id)));
            Ok(Newest { cursor, changes, unread: i64::try_from(unread).unwrap_or(most), read })
        })
        .await
    }
}

/// Looks through the newest events for so many rows of a scope, and further back where these had not enough.
async fn through_events(
    transaction: &Transaction<'_>,
    sql: &str,
    rep: Option<i64>,
    wanted: i64,
    others: Parameters<'_>,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let read = async |events: i64| {
        let parameters: Parameters<'_> = &[&rep, &events, &wanted];
        rows(transaction, sql, &[parameters, others].concat()).await
    };
    let found = read(NEWEST_EVENTS).await?;
    let is_enough = i64::try_from(found.len()).is_ok_and(|found| found >= wanted);
    if is_enough || rows(transaction, BEYOND, &[&NEWEST_EVENTS]).await?.is_empty() {
        return Ok(found);
    }
    read(MOST_EVENTS).await
}

/// A row where there are more events than that.
const BEYOND: &str = "select from (select from live.order_event r order by r.xid desc, r.id desc offset $1 limit 1) e";

/// Whether an event `e` is one of the orders of the rep `$1`, or of any where that is null.
const CONCERNS: &str =
    "e.order_id is not null and ($1::bigint is null or e.old_sales_rep_id = $1 or e.new_sales_rep_id = $1)";

/// The present status of the order of an event `e`, if that is one of them.
const PRESENT_STATUS: &str = "(select o.status::text from public.orders_order o
     where o.id = e.order_id and ($1::bigint is null or o.sales_rep_id = $1) limit 1)";

static NEWEST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {EVENT_COLUMNS}, case when e.operation = 'items' then {PRESENT_STATUS} end as present_status
         from (select * from live.order_event r order by r.xid desc, r.id desc limit $2) e
         where {CONCERNS}
         order by e.xid desc, e.id desc limit $3"
    )
});

static NOT_IN_SNAPSHOT: LazyLock<String> = LazyLock::new(|| {
    unread(
        "r.xid >= pg_snapshot_xmin($7::text::pg_snapshot)",
        "not pg_visible_in_snapshot(e.xid, $7::text::pg_snapshot)",
    )
});

static LATER: LazyLock<String> = LazyLock::new(|| unread("true", "e.at > $7::timestamptz"));

/// A row for each unread change that is news to the person. The status is that of [`Change::status`].
fn unread(may_be_unread: &str, is_unread: &str) -> String {
    format!(
        "select from (
             select * from live.order_event r where {may_be_unread} order by r.xid desc, r.id desc limit $2
         ) e
         where {CONCERNS} and {is_unread}
             and e.app_user is distinct from $5
             and not exists (select from live.muted_order m where m.user_id = $4 and m.order_id = e.order_id)
             and coalesce(
                 case when $1::bigint is null or e.new_sales_rep_id = $1 then e.new_status end, e.old_status,
                 {PRESENT_STATUS}, ''
             ) <> all ($6::text[])
         limit $3"
    )
}
