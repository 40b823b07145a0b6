//! The newest changes of a scope, and how many of them somebody has not read: both bounded, however many there are.

use std::sync::LazyLock;

use super::events::{EVENT_COLUMNS, order_event};
use super::{Account, Attempt, Parameters, SignedIn, Store, StoreError, one_snapshot, present, rows};
use crate::cursor::Cursor;
use crate::order::{Change, Scope, Status};

/// How many changes are listed.
pub const NEWEST_CHANGES: usize = 50;

/// Of more unread changes it is only told that there are more.
pub const MOST_UNREAD: i64 = 99;

/// How many events are looked through for them, from the newest one back.
const NEWEST_EVENTS: i64 = 20_000;

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
    pub read: Option<Cursor>,
}

/// One of the newest changes.
#[derive(Debug)]
pub struct ListedChange {
    /// The change as the scope's people may see it.
    pub change: Change,
    /// The transaction that made it: what tells whether a snapshot has it.
    pub xid: u64,
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
            let limit = i64::try_from(NEWEST_CHANGES).unwrap_or_default();
            let cursor = present(&transaction).await?;
            let events = rows(&transaction, &NEWEST, &[&rep, &NEWEST_EVENTS, &limit]).await;
            let events = events.attempt("read the newest changes")?;
            let read = account.read.clone().filter(|read| read.epoch == cursor.epoch);
            let unread = match &read {
                Some(read) => {
                    let untold: Vec<&str> = account.preferences.untold.iter().map(Status::code).collect();
                    let snapshot = read.snapshot.to_string();
                    let most = MOST_UNREAD + 1;
                    let parameters: Parameters<'_> =
                        &[&rep, &NEWEST_EVENTS, &most, &snapshot, &user.id.0, &user.username, &untold];
                    let counted = rows(&transaction, &UNREAD, parameters).await.attempt("count the unread changes")?;
                    counted.first().map_or(0, |row| row.get("unread"))
                }
                // what was read in another epoch can't be told from what was not
                None => 0,
            };
            transaction.commit().await.attempt("end reading")?;
            let mut changes = Vec::with_capacity(events.len());
            for row in &events {
                let event = order_event(row)?;
                let is_own = event.writer.user.as_deref() == Some(user.username.as_str());
                if let Some(mut change) = event.as_seen_by(scope) {
                    change.status =
                        change.status.or_else(|| row.get::<_, Option<&str>>("present_status").map(Status::from));
                    changes.push((event.at, ListedChange { change, xid: event.xid, is_own }));
                }
            }
            // a long transaction's changes were made when they were, whatever its number is
            changes.sort_by_key(|(at, listed)| std::cmp::Reverse((*at, listed.change.id)));
            Ok(Newest { cursor, changes: changes.into_iter().map(|(_, listed)| listed).collect(), unread, read })
        })
        .await
    }
}

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

/// The status is that of [`Change::status`].
static UNREAD: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select count(*) as unread from (
             select from (
                 select * from live.order_event r
                 where r.xid >= pg_snapshot_xmin($4::text::pg_snapshot)
                 order by r.xid desc, r.id desc limit $2
             ) e
             where {CONCERNS} and not pg_visible_in_snapshot(e.xid, $4::text::pg_snapshot)
                 and e.app_user is distinct from $6
                 and not exists (select from live.muted_order m where m.user_id = $5 and m.order_id = e.order_id)
                 and coalesce(
                     case when $1::bigint is null or e.new_sales_rep_id = $1 then e.new_status end, e.old_status,
                     {PRESENT_STATUS}, ''
                 ) <> all ($7::text[])
             limit $3
         ) n"
    )
});
