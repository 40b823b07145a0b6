//! The sessions of this service.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::user::{Role, UserRecord};
use crate::cursor::Revision;
use crate::order::{RepId, UserId};
use crate::store::database::{Attempt, BRIEFLY, PRESENT, Store, StoreError, cursor_of, rows, text, unless_standby};

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

/// A user who is signed in, as of this request.
#[derive(Debug, Clone)]
pub struct SignedIn {
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

impl SignedIn {
    /// The rep that this user is, if they are one.
    #[must_use]
    pub fn as_rep(&self) -> Option<RepId> {
        (self.role == Role::SalesRep).then_some(RepId(self.id.0))
    }
}

impl Store {
    /// Begins a session. It ends when it expires, is deleted, or the password is no longer the one that was checked.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn begin_session(
        &self,
        session: SessionKey,
        user: &UserRecord,
        expires_at: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let client = self.client().await?;
        client
            .execute(
                "insert into live.session (token_hash, user_id, password_digest, expires_at)
                 values ($1, $2, sha256(convert_to($3, 'UTF8')), $4)",
                &[&session.0.as_slice(), &user.id.0, &user.encoded_password, &expires_at],
            )
            .await
            .attempt("begin a session")?;
        client.execute("delete from live.session where expires_at < now()", &[]).await.attempt("drop old sessions")?;
        Ok(())
    }

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

/// A session `s` holds while it has not expired and its user `u` is active and has the same password.
const HOLDS: &str = "from live.session s join public.accounts_user u on u.id = s.user_id \
     where s.expires_at > now() and u.is_active and s.password_digest = sha256(convert_to(u.password, 'UTF8'))";

/// Looked up one by one, whatever the planner thinks of their number, and only what is over is answered: nearly always nothing.
static ENDED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "select asked.token_hash from unnest($1::bytea[]) asked (token_hash)
         where (select true {HOLDS} and s.token_hash = asked.token_hash and u.role = any ($2) limit 1) is null"
    )
});

/// Checks many sessions at once.
pub(super) fn check_sessions<'a>(
    client: &'a ClientWrapper,
    sessions: &'a [SessionKey],
) -> BoxFuture<'a, Result<Vec<Option<SignedIn>>, StoreError>> {
    async move {
        let hashes: Vec<&[u8]> = sessions.iter().map(|session| session.0.as_slice()).collect();
        let sql = format!(
            "select {PRESENT}, u.token_hash, u.id::bigint as id, u.username::text as username,
                 u.first_name::text as first_name, u.last_name::text as last_name, u.role::text as role
             from (select) always
             left join (select s.token_hash, u.* {HOLDS} and s.token_hash = any ($1)) u on true"
        );
        let rows = rows(client, &sql, &[&hashes]).await.map_err(unless_standby("check the session"))?;
        let as_of = cursor_of(rows.first())?.revision();
        let mut holding: HashMap<&[u8], SignedIn> = HashMap::with_capacity(rows.len());
        for row in &rows {
            if let Some(hash) = row.get::<_, Option<&[u8]>>("token_hash") {
                holding.insert(hash, signed_in(row, session_key(row)?, as_of)?);
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
    Ok(SignedIn { id: UserId(row.get("id")), username, name, role: Role::of(&text(row, "role")?), session, as_of })
}

fn session_key(row: &Row) -> Result<SessionKey, StoreError> {
    let hash = row.get::<_, &[u8]>("token_hash").try_into();
    hash.map(SessionKey).map_err(|cause| StoreError::unreadable("a session", cause))
}
