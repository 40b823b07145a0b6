//! The sessions of this service.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::user::{Role, UserRecord};
use crate::cursor::Revision;
use crate::order::{RepId, UserId};
use crate::store::database::{
    Attempt, BRIEFLY, Gather, PRESENT, Store, StoreError, cursor_of, rows, text, unless_standby,
};

/// SHA-256 of a session's token: what the database knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash(pub [u8; 32]);

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
    pub session: SessionHash,
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

/// Looks sessions up: one statement for all that are asked for at the same time. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Gather<SessionHash, Option<SignedIn>>>);

impl Sessions {
    /// Looks them up in this store.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self(Arc::new(Gather::new(store, check_sessions)))
    }

    /// Who is signed in with that session, if it holds.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn signed_in(&self, session: SessionHash) -> Result<Option<SignedIn>, StoreError> {
        self.0.ask(session).await
    }
}

impl Store {
    /// Begins a session. It ends when it expires, is deleted, or the password is no longer the one that was checked.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn begin_session(
        &self,
        session: SessionHash,
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
    pub async fn end_session(&self, session: SessionHash) -> Result<(), StoreError> {
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
    pub async fn ended_sessions(
        &self,
        sessions: &[SessionHash],
        roles: &[&str],
    ) -> Result<Vec<SessionHash>, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let hashes: Vec<&[u8]> = sessions.iter().map(|session| session.0.as_slice()).collect();
        let rows = rows(&*client, &ENDED, &[&hashes, &roles]).await.attempt("check the open streams' sessions")?;
        rows.iter().map(|row| session_hash(row, "token_hash")).collect()
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
fn check_sessions<'a>(
    client: &'a ClientWrapper,
    sessions: &'a [SessionHash],
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
                holding.insert(hash, signed_in(row, as_of)?);
            }
        }
        Ok(sessions.iter().map(|session| holding.get(session.0.as_slice()).cloned()).collect())
    }
    .boxed()
}

fn signed_in(row: &Row, as_of: Revision) -> Result<SignedIn, StoreError> {
    let username = text(row, "username")?;
    let full_name = format!("{} {}", text(row, "first_name")?, text(row, "last_name")?);
    let name = match full_name.trim() {
        "" => username.clone(),
        name => name.to_owned(),
    };
    let session = session_hash(row, "token_hash")?;
    Ok(SignedIn { id: UserId(row.get("id")), username, name, role: Role::of(&text(row, "role")?), session, as_of })
}

fn session_hash(row: &Row, column: &str) -> Result<SessionHash, StoreError> {
    let hash = row.get::<_, &[u8]>(column).try_into();
    hash.map(SessionHash).map_err(|cause| StoreError::unreadable("a session", cause))
}
