//! The sessions of the host, a Django: read, and never written or prolonged.

use std::collections::HashMap;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;

use super::session::{SessionKey, SignedIn, signed_in};
use crate::django::{Claim, LARGEST_ROW, Refusal, SecretKeys};
use crate::seldom::Seldom;
use crate::store::database::{
    Attempt, PRESENT, Store, StoreError, cursor_of, optional_text, rows, text, unless_standby,
};

/// How many of the newest rows the doctor looks at.
const NEWEST_ROWS: i64 = 50;

/// The host's sessions, and what is said of those that can't be believed.
pub(super) struct HostSessions {
    keys: SecretKeys,
    no_rows: Seldom,
    wrong_key: Seldom,
    pickle: Seldom,
    unreadable: Seldom,
}

/// What the newest of the host's sessions are like, for whoever wonders why nobody is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSessionsSeen {
    /// Those that have not expired, at most some of the newest.
    pub rows: usize,
    /// Which no key signed.
    pub wrong_key: usize,
    /// Which are pickles.
    pub pickles: usize,
    /// Which are too large, or nothing that Django writes as JSON.
    pub unreadable: usize,
    /// In which somebody has signed in.
    pub claims: usize,
    /// And has the same password still, and may sign in.
    pub confirmed: usize,
}

/// Whether the host's sessions can be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostSessionTable {
    /// There is none.
    Missing,
    /// This role may not read it.
    Forbidden {
        /// What lets it.
        grant: String,
    },
    /// It is there.
    Readable {
        /// The table of the host's users, where that is not the one that this service reads.
        other_users: Option<String>,
    },
}

impl HostSessions {
    pub(super) fn new(keys: SecretKeys) -> Self {
        let [no_rows, wrong_key, pickle, unreadable] = Default::default();
        Self { keys, no_rows, wrong_key, pickle, unreadable }
    }

    /// Who is signed in with each of the sessions. The user is read after the session, which names them only when it is decoded;
    /// the state that the answer is as of is that in which the user was read.
    pub(super) async fn look_up(
        &self,
        client: &ClientWrapper,
        sessions: &[SessionKey],
    ) -> Result<Vec<Option<SignedIn>>, StoreError> {
        let claims = self.claims(client, sessions).await?;
        if claims.is_empty() {
            return Ok(sessions.iter().map(|_| None).collect());
        }
        let ids: Vec<i64> = claims.values().map(|claim| claim.user_id).collect();
        let found = rows(client, &users(), &[&ids]).await.map_err(unless_standby("look up who is signed in"))?;
        let as_of = cursor_of(found.first())?.revision();
        let mut users: HashMap<i64, &Row> = HashMap::with_capacity(found.len());
        for row in &found {
            if let Some(id) = row.get::<_, Option<i64>>("id") {
                users.insert(id, row);
            }
        }
        let holding = sessions.iter().map(|session| {
            let Some((claim, user)) = claims.get(session).and_then(|claim| Some((claim, users.get(&claim.user_id)?)))
            else {
                return Ok(None);
            };
            let holds = self.keys.confirm(claim, &text(user, "password")?);
            if holds { signed_in(user, *session, as_of).map(Some) } else { Ok(None) }
        });
        holding.collect()
    }

    /// Whom those of the sessions that have not expired say to be signed in.
    async fn claims(
        &self,
        client: &ClientWrapper,
        sessions: &[SessionKey],
    ) -> Result<HashMap<SessionKey, Claim>, StoreError> {
        let keys: Vec<&str> = sessions.iter().filter_map(SessionKey::of_host).collect();
        let largest = i32::try_from(LARGEST_ROW).unwrap_or(i32::MAX);
        let found = rows(client, UNEXPIRED, &[&keys, &largest]).await.attempt("look up the host's sessions")?;
        if found.first().is_some_and(|row| !row.get::<_, bool>("has_any")) && self.no_rows.is_due() {
            tracing::warn!(
                "requests bring session cookies, and public.django_session has no rows: is the host's SESSION_ENGINE db or \
                 cached_db, and is this its database?"
            );
        }
        let mut claims = HashMap::with_capacity(found.len());
        for row in &found {
            let Some(session) = optional_text(row, "session_key")?.and_then(|key| SessionKey::from_host(&key)) else {
                continue;
            };
            match read(&self.keys, row)? {
                Ok(claim) => drop(claims.insert(session, claim)),
                Err(refusal) => self.say(refusal),
            }
        }
        Ok(claims)
    }

    fn say(&self, refusal: Refusal) {
        match refusal {
            Refusal::Nobody => {}
            Refusal::WrongKey if self.wrong_key.is_due() => {
                tracing::warn!("no configured key verifies the session rows: is SECRET_KEY right?");
            }
            Refusal::Pickle if self.pickle.is_due() => {
                tracing::warn!(
                    "a session is a pickle, which is never read: set the host's SESSION_SERIALIZER to \
                     django.contrib.sessions.serializers.JSONSerializer"
                );
            }
            Refusal::TooLarge | Refusal::Unreadable if self.unreadable.is_due() => {
                tracing::warn!(?refusal, "a session row with a right signature can't be read");
            }
            Refusal::WrongKey | Refusal::Pickle | Refusal::TooLarge | Refusal::Unreadable => {}
        }
    }
}

/// The data is left out where it is too large to be read.
fn read(keys: &SecretKeys, row: &Row) -> Result<Result<Claim, Refusal>, StoreError> {
    Ok(optional_text(row, "session_data")?.map_or(Err(Refusal::TooLarge), |data| keys.read(&data)))
}

/// Which sessions have not expired; and in every case a row that says whether there are any.
const UNEXPIRED: &str = "select s.session_key::text, s.session_data, exists (select from public.django_session) as has_any
     from (select) always
     left join (
         select h.session_key, case when octet_length(h.session_data) <= $2 then h.session_data::text end as session_data
         from public.django_session h
         where h.session_key = any ($1::text[]) and h.expire_date > now()
     ) s on true";

/// Active users, with the state in which they were so.
fn users() -> String {
    format!(
        "select {PRESENT}, u.id::bigint as id, u.username::text as username, u.first_name::text as first_name,
             u.last_name::text as last_name, u.role::text as role, u.password::text as password
         from (select) always
         left join public.accounts_user u on u.id = any ($1::bigint[]) and u.is_active"
    )
}

impl Store {
    /// Whether the host's sessions can be read.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn host_session_table(&self) -> Result<HostSessionTable, StoreError> {
        let client = self.client().await?;
        // Django's admin refers to whatever the users' table is
        let row = client
            .query_one(
                "select t.oid is not null as is_there,
                     has_table_privilege(t.oid, 'select') or not exists (
                         select from pg_attribute a
                         where a.attrelid = t.oid and a.attname in ('session_key', 'session_data', 'expire_date')
                             and not has_column_privilege(t.oid, a.attnum, 'select')) as may_read,
                     'grant select (session_key, session_data, expire_date) on public.django_session to '
                         || quote_ident(current_user) || ';' as grant_it,
                     (select k.confrelid::regclass::text from pg_constraint k
                          join pg_class log on log.oid = k.conrelid and log.relname = 'django_admin_log'
                              and log.relnamespace = 'public'::regnamespace
                          join pg_class users on users.oid = k.confrelid
                          join pg_attribute a on a.attrelid = log.oid and a.attnum = k.conkey[1] and a.attname = 'user_id'
                          where k.contype = 'f' and users.relname <> 'accounts_user' limit 1) as other_users
                 from (select) always
                 left join pg_class t on t.relname = 'django_session' and t.relnamespace = 'public'::regnamespace",
                &[],
            )
            .await
            .attempt("look at the host's sessions")?;
        Ok(if !row.get::<_, bool>("is_there") {
            HostSessionTable::Missing
        } else if !row.get::<_, Option<bool>>("may_read").unwrap_or_default() {
            HostSessionTable::Forbidden { grant: text(&row, "grant_it")? }
        } else {
            HostSessionTable::Readable { other_users: optional_text(&row, "other_users")? }
        })
    }

    /// Looks at the newest of the host's sessions with these keys.
    ///
    /// # Errors
    /// If they can't be read.
    pub async fn host_sessions(&self, keys: &SecretKeys) -> Result<HostSessionsSeen, StoreError> {
        self.lend(async |client| {
            let largest = i32::try_from(LARGEST_ROW).unwrap_or(i32::MAX);
            let sql =
                "select case when octet_length(h.session_data) <= $1 then h.session_data::text end as session_data
                 from public.django_session h where h.expire_date > now() order by h.expire_date desc limit $2";
            let newest = rows(client, sql, &[&largest, &NEWEST_ROWS]).await;
            let newest = newest.attempt("look at the newest of the host's sessions")?;
            let mut seen = HostSessionsSeen { rows: newest.len(), ..HostSessionsSeen::default() };
            let mut claims = Vec::new();
            for row in &newest {
                match read(keys, row)? {
                    Ok(claim) => claims.push(claim),
                    Err(Refusal::WrongKey) => seen.wrong_key += 1,
                    Err(Refusal::Pickle) => seen.pickles += 1,
                    Err(Refusal::TooLarge | Refusal::Unreadable) => seen.unreadable += 1,
                    Err(Refusal::Nobody) => {}
                }
            }
            seen.claims = claims.len();
            let ids: Vec<i64> = claims.iter().map(|claim| claim.user_id).collect();
            for user in rows(client, &users(), &[&ids]).await.attempt("look up who is signed in")? {
                let Some(id) = user.get::<_, Option<i64>>("id") else { continue };
                let password = text(&user, "password")?;
                let of_user = claims.iter().filter(|claim| claim.user_id == id);
                seen.confirmed += of_user.filter(|claim| keys.confirm(claim, &password)).count();
            }
            Ok(seen)
        })
        .await
    }
}
