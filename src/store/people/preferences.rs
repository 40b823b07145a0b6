//! What people want to be told of and how, what they have read, and the orders they have muted.

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;

use super::session::SignedIn;
use super::user::Role;
use crate::cursor::{Cursor, Epoch};
use crate::order::{OrderId, Status};
use crate::store::database::{Attempt, Store, StoreError, optional_text, rows, value};

/// How many orders somebody may have muted.
pub const MOST_MUTED: i64 = 500;

/// What somebody wants to be told of, and how. The bell has everything in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preferences {
    /// Whether a page shows a change for some seconds.
    pub toasts: bool,
    /// Whether the browser plays two notes.
    pub sound: bool,
    /// Whether the desktop says it while no page is looked at.
    pub desktop: bool,
    /// Changes after which an order is in one of these are not told. A status that is not listed anywhere is.
    pub untold: Vec<Status>,
}

impl Preferences {
    /// What somebody of that role has who has chosen nothing: reps are told of all of their orders; those who see everybody's
    /// only of what is new for them.
    #[must_use]
    pub fn usual(role: Role) -> Self {
        let untold = match role {
            Role::SalesRep => Vec::new(),
            Role::Pharmacist | Role::Admin | Role::Other => {
                Status::ALL.iter().filter(|status| **status != Status::Pending).cloned().collect()
            }
        };
        Self { toasts: true, sound: false, desktop: false, untold }
    }

    /// Whether changes that lead to this status are told.
    #[must_use]
    pub fn tells(&self, status: &Status) -> bool {
        !self.untold.contains(status)
    }
}

/// What is kept for somebody.
#[derive(Debug, Clone)]
pub struct Account {
    /// What they want to be told of.
    pub preferences: Preferences,
    /// The orders of which they are told nothing, the one muted last at the end.
    pub muted: Vec<OrderId>,
    /// Up to where they have read; `None` if they never did.
    pub read: Option<ReadUpto>,
    /// Changes with any of it.
    pub version: i64,
}

/// Up to where somebody has read, as it is kept: in whatever life of the server they did.
#[derive(Debug, Clone)]
pub struct ReadUpto {
    cursor: Cursor,
    at: DateTime<Utc>,
}

/// Up to where somebody has read.
#[derive(Debug, Clone)]
pub enum Mark {
    /// What this snapshot has.
    Snapshot(Cursor),
    /// What was written until then: the server has begun another life since, in which the snapshot means nothing.
    Time(DateTime<Utc>),
}

impl ReadUpto {
    /// How that is told in the server's present life.
    pub(in crate::store) fn mark(&self, present: &Cursor) -> Mark {
        if self.cursor.epoch == present.epoch { Mark::Snapshot(self.cursor.clone()) } else { Mark::Time(self.at) }
    }
}

/// An order that somebody has muted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutedOrder {
    /// Which.
    pub id: OrderId,
    /// Its number, while the person may see it.
    pub number: Option<String>,
}

/// What became of muting an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MuteOutcome {
    /// It is as was wanted.
    Done,
    /// There is no such order for this user.
    NoSuchOrder,
    /// There are too many muted orders already.
    TooMany,
}

impl Store {
    /// What is kept for the user.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn account(&self, user: &SignedIn) -> Result<Account, StoreError> {
        let read =
            async |client: &mut ClientWrapper| rows(client, ACCOUNT, &[&user.id.0]).await.attempt("read the account");
        let read = self.lend(read).await?;
        let row = read.first().ok_or_else(|| StoreError::unreadable("the account", "no row"))?;
        let usual = Preferences::usual(user.role);
        let untold = row.get::<_, Option<Vec<&str>>>("untold_statuses");
        let text = |column| row.get::<_, Option<&str>>(column);
        let read = text("read_epoch").zip(text("read_snapshot")).zip(row.get::<_, Option<DateTime<Utc>>>("read_at"));
        let read = read.and_then(|((epoch, snapshot), at)| {
            let cursor = Cursor { epoch: epoch.parse::<Epoch>().ok()?, snapshot: snapshot.parse().ok()? };
            Some(ReadUpto { cursor, at })
        });
        Ok(Account {
            preferences: Preferences {
                toasts: row.get::<_, Option<bool>>("toasts").unwrap_or(usual.toasts),
                sound: row.get::<_, Option<bool>>("sound").unwrap_or(usual.sound),
                desktop: row.get::<_, Option<bool>>("desktop").unwrap_or(usual.desktop),
                untold: untold.map_or(usual.untold, |codes| codes.into_iter().map(Status::from).collect()),
            },
            muted: row.get::<_, Vec<i64>>("muted").into_iter().map(OrderId).collect(),
            read,
            version: row.get::<_, Option<i64>>("version").unwrap_or_default(),
        })
    }

    /// Keeps what the user wants to be told of.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn save_preferences(&self, user: &SignedIn, preferences: &Preferences) -> Result<(), StoreError> {
        let client = self.client().await?;
        let untold: Vec<&str> = preferences.untold.iter().map(Status::code).collect();
        let Preferences { toasts, sound, desktop, .. } = preferences;
        let sql = "insert into live.account as a (user_id, toasts, sound, desktop, untold_statuses) values ($1, $2, $3, $4, $5)
             on conflict (user_id) do update set toasts = excluded.toasts, sound = excluded.sound,
                 desktop = excluded.desktop, untold_statuses = excluded.untold_statuses, version = a.version + 1";
        let saved = client.execute(sql, &[&user.id.0, toasts, sound, desktop, &untold]).await;
        saved.attempt("save the preferences").map(|_| ())
    }

    /// Notes that the user has read everything up to there. What is read stays so: a mark of the same epoch only goes forward.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn mark_read(&self, user: &SignedIn, upto: &Cursor) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "insert into live.account as a (user_id, read_epoch, read_snapshot, read_at)
                 values ($1, $2, $3::text::pg_snapshot, now())
             on conflict (user_id) do update
             set read_epoch = excluded.read_epoch, read_snapshot = excluded.read_snapshot, read_at = excluded.read_at,
                 version = a.version + 1
             where a.read_epoch is distinct from excluded.read_epoch or
                 (pg_snapshot_xmax(a.read_snapshot), -(select count(*) from pg_snapshot_xip(a.read_snapshot)))
                 < (pg_snapshot_xmax(excluded.read_snapshot), -(select count(*) from pg_snapshot_xip(excluded.read_snapshot)))";
        let marked = client.execute(sql, &[&user.id.0, &upto.epoch.to_string(), &upto.snapshot.to_string()]).await;
        marked.attempt("note what was read").map(|_| ())
    }

    /// Mutes an order for the user, who may see it.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn mute(&self, user: &SignedIn, id: OrderId) -> Result<MuteOutcome, StoreError> {
        let Some(sight) = user.sight() else { return Ok(MuteOutcome::NoSuchOrder) };
        let client = self.client().await?;
        let row =
            client.query_one(MUTE, &[&user.id.0, &id.0, &sight.only(), &MOST_MUTED]).await.attempt("mute the order")?;
        Ok(match (row.get("is_seen"), row.get("fits")) {
            (false, _) => MuteOutcome::NoSuchOrder,
            (true, false) => MuteOutcome::TooMany,
            (true, true) => MuteOutcome::Done,
        })
    }

    /// Tells the user of the order again, also of one that they no longer see.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn unmute(&self, user: &SignedIn, id: OrderId) -> Result<MuteOutcome, StoreError> {
        let client = self.client().await?;
        let sql = "with gone as (delete from live.muted_order where user_id = $1 and order_id = $2 returning user_id)
             insert into live.account as a (user_id) select user_id from gone
             on conflict (user_id) do update set version = a.version + 1";
        client.execute(sql, &[&user.id.0, &id.0]).await.attempt("unmute the order")?;
        Ok(MuteOutcome::Done)
    }

    /// The orders that the user has muted, the one muted last first.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn muted_orders(&self, user: &SignedIn) -> Result<Vec<MutedOrder>, StoreError> {
        let Some(sight) = user.sight() else { return Ok(Vec::new()) };
        let client = self.client().await?;
        let sql = "select m.order_id, o.order_number::text as number from live.muted_order m
             left join lateral (
                 select o.order_number from public.orders_order o
                 where o.id = m.order_id and ($2::bigint is null or o.sales_rep_id = $2) limit 1
             ) o on true
             where m.user_id = $1 order by m.muted_at desc, m.order_id";
        let read = rows(&*client, sql, &[&user.id.0, &sight.only()]).await.attempt("read the muted orders")?;
        let muted =
            |row| Ok(MutedOrder { id: OrderId(value(row, "order_id")?), number: optional_text(row, "number")? });
        read.iter().map(muted).collect()
    }

    /// Whether the user has muted the order.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn is_muted(&self, user: &SignedIn, id: OrderId) -> Result<bool, StoreError> {
        let sql = "select from live.muted_order where user_id = $1 and order_id = $2";
        self.lend(async |client| {
            Ok(!rows(client, sql, &[&user.id.0, &id.0]).await.attempt("look for the muted order")?.is_empty())
        })
        .await
    }
}

const ACCOUNT: &str = "select a.toasts, a.sound, a.desktop, a.untold_statuses, a.read_epoch,
        a.read_snapshot::text as read_snapshot, a.read_at, a.version,
        array(select m.order_id from live.muted_order m where m.user_id = $1 order by m.muted_at) as muted
    from (select) always left join live.account a on a.user_id = $1";

const MUTE: &str = "
    with seen as (
        select o.id::bigint as id from public.orders_order o
        where o.id = $2 and ($3::bigint is null or o.sales_rep_id = $3)
    ), fitting as (
        select seen.id from seen
        where (select count(*) from live.muted_order m where m.user_id = $1 and m.order_id <> $2) < $4
    ), muted as (
        insert into live.muted_order (user_id, order_id) select $1, id from fitting on conflict do nothing returning user_id
    ), noted as (
        insert into live.account as a (user_id) select user_id from muted
        on conflict (user_id) do update set version = a.version + 1
    )
    select exists (select from seen) as is_seen, exists (select from fitting) as fits";
