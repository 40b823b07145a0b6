//! The sessions of this service: looked up, listed, ended.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::user::Role;
use crate::cursor::Revision;
use crate::order::{RepId, Scope, UserId};
use crate::store::database::{
    Attempt, BRIEFLY, PRESENT, Store, StoreError, cursor_of, optional_text, rows, text, unless_standby,
};

/// By what the database knows a session: of our own SHA-256 of its token, of the host's the key that its cookie has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey(pub [u8; 32]);

impl SessionKey {
    /// The key of a session of the host's, which has 32 letters and digits of ASCII; what else a cookie may say is none.
    #[must_use]
    pub fn from_host(key: &str) -> Option<Self> {
        key.as_bytes().try_into().ok().filter(|key: &[u8; 32]| key.iter().all(u8::is_ascii_alphanumeric)).map(Self)
    }

    /// The same as the host has it.
    pub(super) fn of_host(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

/// Whoever has the host's key has the session.
impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A user who is signed in, as of this request. Only a session that was looked up and holds makes one
/// ([`Sessions::signed_in`](super::Sessions::signed_in)), and nothing of it can be altered: what is read and changed for people
/// takes this, and not an id.
///
/// ```compile_fail,E0423
/// # use oncare_live::store::{Person, SignedIn};
/// fn as_anybody(person: Person) -> SignedIn {
///     SignedIn(person)
/// }
/// ```
///
/// ```compile_fail,E0594
/// # use oncare_live::{order::UserId, store::SignedIn};
/// fn as_another(mut user: SignedIn) -> SignedIn {
///     user.id = UserId(2);
///     user
/// }
/// ```
#[derive(Debug, Clone)]
pub struct SignedIn(Person);

/// What is known of somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// Their login.
    pub username: String,
    /// Their name, or the login where there is none.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The session they came with.
    pub session: SessionKey,
    /// The state of the database in which this was so.
    pub as_of: Revision,
}

impl Deref for SignedIn {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.0
    }
}

impl SignedIn {
    /// The rep that this user is, if they are one.
    #[must_use]
    pub fn as_rep(&self) -> Option<RepId> {
        (self.role == Role::SalesRep).then_some(RepId(self.id.0))
    }

    /// Whose orders this user may see; none where their role is none of this service's.
    #[must_use]
    pub fn sight(&self) -> Option<Sight> {
        match self.role {
            Role::SalesRep => Some(Sight(Scope::Rep(RepId(self.id.0)))),
            Role::Pharmacist | Role::Admin => Some(Sight(Scope::All)),
            Role::Other => None,
        }
    }
}

/// Whose orders somebody who is signed in may see: by nothing else are orders read for people.
///
/// ```compile_fail,E0423
/// # use oncare_live::{order::{RepId, Scope}, store::Sight};
/// let of_another = Sight(Scope::Rep(RepId(2)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight(Scope);

impl Sight {
    /// Whose orders they are.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.0
    }

    /// As the parameter of a statement: the rep, or null for all.
    pub(in crate::store) fn only(self) -> Option<i64> {
        self.0.rep().map(|rep| rep.0)
    }
}

/// A session as its user sees it.
#[derive(Debug, Clone)]
pub struct ListedSession {
    /// By what it is told from the user's others. Nobody gets into it by that.
    pub handle: String,
    /// When somebody signed in.
    pub began_at: DateTime<Utc>,
    /// When it was used last, give or take some minutes.
    pub seen_at: DateTime<Utc>,
    /// From where somebody signed in, if that was noted.
    pub address: Option<String>,
    /// With what, as the browser says it.
    pub browser: Option<String>,
    /// Whether it is the one that was named.
    pub is_present: bool,
}

/// A session that the sweep ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Whose it was.
    pub user: UserId,
    /// Their login, unless they were deleted.
    pub username: Option<String>,
    /// Why, as the security log has it.
    pub why: String,
}

impl Store {
    /// Ends a session.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn end_session(&self, session: SessionKey) -> Result<(), StoreError> {
        let client = self.client().await?;
        client
            .execute("delete from live.session where token_hash = $1", &[&session.0.as_slice()])
            .await
            .attempt("end the session")?;
        Ok(())
    }

    /// A user's sessions that hold, those used last first.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn sessions_of(
        &self,
        user: UserId,
        present: Option<SessionKey>,
    ) -> Result<Vec<ListedSession>, StoreError> {
        let present = present.map(|session| session.0.to_vec());
        let sql = format!(
            "select encode(sha256(s.token_hash), 'hex') as handle, s.created_at, s.seen_at, s.address, s.browser,
                 s.token_hash is not distinct from $2::bytea as is_present
             {HOLDS} and s.user_id = $1 order by s.seen_at desc, s.created_at desc"
        );
        self.lend(async |client| {
            let rows = rows(client, &sql, &[&user.0, &present]).await.attempt("list the sessions")?;
            let listed = rows.iter().map(|row| ListedSession {
                handle: row.get("handle"),
                began_at: row.get("created_at"),
                seen_at: row.get("seen_at"),
                address: row.get("address"),
                browser: row.get("browser"),
                is_present: row.get("is_present"),
            });
            Ok(listed.collect())
        })
        .await
    }

    /// Ends the user's session of that handle, or all but one; without either all. Gives those that it ended.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn end_sessions_of(
        &self,
        user: UserId,
        handle: Option<&str>,
        except: Option<SessionKey>,
    ) -> Result<Vec<SessionKey>, StoreError> {
        let except = except.map(|session| session.0.to_vec());
        let sql = "delete from live.session where user_id = $1 and ($2::text is null or encode(sha256(token_hash), 'hex') = $2)
             and token_hash is distinct from $3::bytea returning token_hash";
        let client = self.client().await?;
        let rows = client.query(sql, &[&user.0, &handle, &except]).await.attempt("end sessions")?;
        rows.iter().map(session_key).collect()
    }

    /// Notes that a session is used, so that it does not end for being left alone before `idle` has gone by.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub(super) async fn touch_session(
        &self,
        session: SessionKey,
        unseen: Duration,
        idle: Duration,
    ) -> Result<(), StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        client
            .execute(
                "update live.session set seen_at = now(), idle_at = now() + make_interval(secs => $3)
                 where token_hash = $1 and seen_at < now() - make_interval(secs => $2)",
                &[&session.0.as_slice(), &unseen.as_secs_f64(), &idle.as_secs_f64()],
            )
            .await
            .attempt("note that a session is used")?;
        Ok(())
    }

    /// Deletes the sessions that do not hold any more, so that none comes back to life when its user is activated again or has
    /// the former password.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub(super) async fn sweep_sessions(&self) -> Result<Vec<Swept>, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let rows = rows(&*client, SWEEP, &[]).await.attempt("delete the sessions that are over")?;
        let swept = rows.iter().map(|row| {
            let username = optional_text(row, "username")?;
            Ok(Swept { user: UserId(row.get("user_id")), username, why: row.get("why") })
        });
        swept.collect()
    }

    /// Which of the sessions are over, or no more of a user with one of the roles.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub(super) async fn ended_sessions(
        &self,
        sessions: &[SessionKey],
        roles: &[&str],
    ) -> Result<Vec<SessionKey>, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let hashes: Vec<&[u8]> = sessions.iter().map(|session| session.0.as_slice()).collect();
        let rows = rows(&*client, &ENDED, &[&hashes, &roles]).await.attempt("check the open streams' sessions")?;
        rows.iter().map(session_key).collect()
    }
}

/// A session `s` holds while it has not expired, nor been left alone for too long, and its user `u` is active and has the same password.
const HOLDS: &str = "from live.session s join public.accounts_user u on u.id = s.user_id \
     where s.expires_at > now() and s.idle_at > now() and u.is_active and s.password_digest = sha256(convert_to(u.password, 'UTF8'))";

/// Those that do not hold are deleted, each with the reason.
const SWEEP: &str = "delete from live.session d using (
         select s.token_hash, u.username::text, case
             when s.expires_at <= now() then 'expired'
             when s.idle_at <= now() then 'idle'
             when u.id is null then 'deleted'
             when not u.is_active then 'deactivated'
             else 'password_changed' end as why
         from live.session s left join public.accounts_user u on u.id = s.user_id
         where s.expires_at <= now() or s.idle_at <= now() or u.id is null or not u.is_active
             or s.password_digest <> sha256(convert_to(u.password, 'UTF8'))
     ) over_by_now where d.token_hash = over_by_now.token_hash
     returning d.user_id, over_by_now.username, over_by_now.why";

/// Looked up one by one, whatever the planner thinks of their number, and only what is over is answered: nearly always nothing.
static ENDED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select asked.token_hash from unnest($1::bytea[]) asked (token_hash)
         where (select true {HOLDS} and s.token_hash = asked.token_hash and u.role = any ($2) limit 1) is null"
    )
});

/// Who is signed in with a session.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) user: SignedIn,
    /// Whether it was not noted for some time that it is used.
    pub(super) is_unseen: bool,
}

/// Checks many sessions at once.
pub(super) fn check_sessions<'a>(
    client: &'a ClientWrapper,
    sessions: &'a [SessionKey],
    unseen: Duration,
) -> BoxFuture<'a, Result<Vec<Option<Found>>, StoreError>> {
    async move {
        let hashes: Vec<&[u8]> = sessions.iter().map(|session| session.0.as_slice()).collect();
        let sql = format!(
            "select {PRESENT}, u.token_hash, u.is_unseen, u.id::bigint as id, u.username::text as username,
                 u.first_name::text as first_name, u.last_name::text as last_name, u.role::text as role
             from (select) always
             left join (select s.seen_at < now() - make_interval(secs => $2) as is_unseen, s.token_hash, u.id, u.username, u.first_name, u.last_name, u.role
                 {HOLDS} and s.token_hash = any ($1)) u on true"
        );
        let rows = rows(client, &sql, &[&hashes, &unseen.as_secs_f64()]).await.map_err(unless_standby("check the session"))?;
        let as_of = cursor_of(rows.first())?.revision();
        let mut holding: HashMap<&[u8], Found> = HashMap::with_capacity(rows.len());
        for row in &rows {
            if let Some(hash) = row.get::<_, Option<&[u8]>>("token_hash") {
                let user = signed_in(row, session_key(row)?, as_of)?;
                holding.insert(hash, Found { user, is_unseen: row.get("is_unseen") });
            }
        }
        Ok(sessions.iter().map(|session| holding.get(session.0.as_slice()).cloned()).collect())
    }
    .boxed()
}

/// The user in a row's columns.
pub(super) fn signed_in(row: &Row, session: SessionKey, as_of: Revision) -> Result<SignedIn, StoreError> {
    let username = text(row, "username")?;
    let full_name = format!("{} {}", text(row, "first_name")?, text(row, "last_name")?);
    let name = match full_name.trim() {
        "" => username.clone(),
        name => name.to_owned(),
    };
    let role = Role::of(&text(row, "role")?);
    Ok(SignedIn(Person { id: UserId(row.get("id")), username, name, role, session, as_of }))
}

fn session_key(row: &Row) -> Result<SessionKey, StoreError> {
    let hash = row.get::<_, &[u8]>("token_hash").try_into();
    hash.map(SessionKey).map_err(|cause| StoreError::unreadable("a session", cause))
}
