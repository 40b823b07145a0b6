//! The newest changes of a scope, and how many of them somebody has not read: both bounded, however many there are.

use std::collections::HashSet;
use std::sync::LazyLock;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::preferences::{Account, Mark};
use super::session::{Sight, SignedIn};
use crate::cursor::Cursor;
use crate::order::{Change, Status};
use crate::store::database::{Attempt, Parameters, Store, StoreError, one_snapshot, optional_text, present, rows};
use crate::store::rows::{EVENT_COLUMNS, OF_NEW_ORDER, PERSON, order_event};

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
    /// Whether they never read anything, so that reading begins with this snapshot.
    pub is_first: bool,
}

/// One of the newest changes.
#[derive(Debug)]
pub struct ListedChange {
    /// The change as the scope's people may see it.
    pub change: Change,
    /// The transaction that made it: what tells whether a snapshot has it.
    pub xid: u64,
    /// Whether it is news to the person and not read.
    pub unread: bool,
}

impl Store {
    /// The newest changes of these orders, and how many are news to the user and not read.
    ///
    /// # Errors
    /// If the database can't be reached or read.
    pub async fn newest(&self, sight: Sight, user: &SignedIn, account: &Account) -> Result<Newest, StoreError> {
        let scope = sight.scope();
        self.lend(async |client| {
            let transaction = one_snapshot(client).await.attempt("begin reading")?;
            let rep = sight.only();
            let cursor = present(&transaction).await?;
            let listed = i64::try_from(NEWEST_CHANGES).unwrap_or_default();
            let untold: Vec<&str> = account.preferences.untold.iter().map(Status::code).collect();
            let (snapshot, at) = match account.read.as_ref().map(|read| read.mark(&cursor)) {
                Some(Mark::Snapshot(read)) => (Some(read.snapshot.to_string()), None),
                Some(Mark::Time(at)) => (None, Some(at)),
                None => (None, None),
            };
            let person: Parameters<'_> = &[&user.id.0, &user.username, &untold, &snapshot, &at];
            let events = through_events(&transaction, &NEWEST, rep, listed, person).await;
            let events = events.attempt("read the newest changes")?;
            let most = MOST_UNREAD + 1;
            let unread = if snapshot.is_some() { &UNREAD_SINCE_SNAPSHOT } else { &UNREAD_SINCE_TIME };
            let is_first = account.read.is_none();
            let unread =
                if is_first { Ok(Vec::new()) } else { through_events(&transaction, unread, rep, most, person).await };
            let unread = unread.attempt("count the unread changes")?.len();
            transaction.commit().await.attempt("end reading")?;
            let mut changes = Vec::with_capacity(events.len());
            for row in &events {
                // one that can't be read hides no other; the listener counts and logs it
                let Ok(event) = order_event(row) else { continue };
                if let Some(mut change) = event.as_seen_by(scope, &HashSet::new()) {
                    let present = optional_text(row, "present_status")?;
                    change.status = change.status.or_else(|| present.as_deref().map(Status::from));
                    changes.push((event.at, ListedChange { change, xid: event.xid, unread: row.get("is_unread") }));
                }
            }
            // a long transaction's changes were made when they were, whatever its number is
            changes.sort_by_key(|(at, listed)| std::cmp::Reverse((*at, listed.change.id)));
            let changes = changes.into_iter().map(|(_, listed)| listed).collect();
            Ok(Newest { cursor, changes, unread: i64::try_from(unread).unwrap_or(most), is_first })
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

/// Whether an event `e` is a part of the entering of its order, and no news by itself: see `OrderEvent::is_part`.
static IS_PART: LazyLock<String> = LazyLock::new(|| {
    format!(
        "coalesce({OF_NEW_ORDER} or ({OF_NEW_ORDER}) is not null and exists (select from live.order_event i
             where i.order_id = e.order_id and i.xid = e.xid and i.operation = 'insert'), false)"
    )
});

/// Whether an event `e` is told to the rep `$1`, or to those who see all orders where that is
/// null. Of an item's event, whose trigger may have seen another rep than the order's present one, both are asked: see
/// `tests/cases/told.json`.
const IS_TOLD: &str = "e.order_id is not null and e.operation <> 'history' and ($1::bigint is null
     or (e.old_sales_rep_id = $1 or e.new_sales_rep_id = $1) and (e.operation <> 'items' or exists (
         select from public.orders_order o where o.id = e.order_id and o.sales_rep_id = $1)))";

/// The present status of the order of an event `e`, if that is one of them.
const PRESENT_STATUS: &str = "(select o.status::text from public.orders_order o
     where o.id = e.order_id and ($1::bigint is null or o.sales_rep_id = $1) limit 1)";

/// Whether an event `e` is news to the user `$4` with the login `$5`: what they did is none, nor what is of an order that they
/// muted, nor what leads to one of the statuses `$6`. The status is that of [`Change::status`]. A page decides the same of what
/// its stream tells (`static/js/news/is_news.js`); `tests/cases/news.json` has the cases of both.
fn is_news() -> String {
    format!(
        "{person} is distinct from $5
             and not exists (select from live.muted_order m where m.user_id = $4 and m.order_id = e.order_id)
             and coalesce(
                 case when $1::bigint is null or e.new_sales_rep_id = $1 then e.new_status end, e.old_status,
                 {PRESENT_STATUS}, ''
             ) <> all ($6::text[])",
        person = *PERSON,
    )
}

/// Whether an event `e` is not read: by the snapshot `$7`, else by the time `$8`. With neither, reading begins only now.
const IS_UNREAD: &str = "case when $7::text is not null then not pg_visible_in_snapshot(e.xid, $7::text::pg_snapshot)
     else coalesce(e.at > $8::timestamptz, false) end";

static NEWEST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select {event_columns}, case when e.operation = 'items' then {PRESENT_STATUS} end as present_status,
             {is_news} and {IS_UNREAD} as is_unread
         from (select * from live.order_event r order by r.xid desc, r.id desc limit $2) e
         where {IS_TOLD} and not {is_part}
         order by e.xid desc, e.id desc limit $3",
        event_columns = *EVENT_COLUMNS,
        is_part = *IS_PART,
        is_news = is_news(),
    )
});

static UNREAD_SINCE_SNAPSHOT: LazyLock<String> =
    LazyLock::new(|| unread("r.xid >= pg_snapshot_xmin($7::text::pg_snapshot)"));

static UNREAD_SINCE_TIME: LazyLock<String> = LazyLock::new(|| unread("true"));

/// Of how many unread changes it is found out whether they are news to the person, which for each may take a look at the history.
const MOST_JUDGED: u32 = 2_000;

/// A row for each unread change that is news to the person.
fn unread(may_be_unread: &str) -> String {
    let is_news = is_news();
    format!(
        "select from (
             select e.* from (
                 select * from live.order_event r where {may_be_unread} order by r.xid desc, r.id desc limit $2
             ) e
             where {IS_TOLD} and not {is_part} and {IS_UNREAD}
             limit {MOST_JUDGED}
         ) e
         where {is_news}
         limit $3",
        is_part = *IS_PART,
    )
}
