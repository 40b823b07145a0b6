//! Users of the existing system, and the sessions of this service.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::lent::BRIEFLY;
use super::{Attempt, PRESENT, Store, StoreError, cursor_of, host_transaction, rows, unless_standby};
use crate::cursor::Revision;
use crate::order::{RepId, UserId};

/// `accounts_user.role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sees their own orders.
    SalesRep,
    /// Sees and changes all orders.
    Pharmacist,
    /// Sees and changes all orders.
    Admin,
    /// A role that this service has nothing for.
    Other,
}

impl Role {
    /// The roles that users are created with.
    pub const CODES: [&str; 3] = ["sales_rep", "pharmacist_admin", "admin"];

    /// The codes of those who see the orders of one rep, their own.
    pub const OF_ONE_REP: &[&str] = &["sales_rep"];

    /// The codes of those who see all orders.
    pub const OF_ALL_ORDERS: &[&str] = &["pharmacist_admin", "admin"];

    /// Reads the code of a role.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code {
            "sales_rep" => Self::SalesRep,
            "pharmacist_admin" => Self::Pharmacist,
            "admin" => Self::Admin,
            _ => Self::Other,
        }
    }

    /// The role as shown to a person.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::SalesRep => "Sales representative",
            Self::Pharmacist => "Pharmacist",
            Self::Admin => "Administrator",
            Self::Other => "No role here",
        }
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

/// What a login is checked against.
#[derive(Clone)]
pub struct UserRecord {
    /// Who.
    pub id: UserId,
    /// The password in Django's hasher format.
    pub encoded_password: String,
    /// Whether the user may sign in at all.
    pub is_active: bool,
}

/// SHA-256 of a session's token: what the database knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionHash(pub [u8; 32]);

/// A user to be created.
pub struct NewUser<'a> {
    /// The login, unique.
    pub username: &'a str,
    /// One of [`Role::CODES`].
    pub role: &'a str,
    /// First name.
    pub first_name: &'a str,
    /// Last name.
    pub last_name: &'a str,
    /// The password in Django's hasher format.
    pub encoded_password: &'a str,
}

impl Store {
    /// The user of that login.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn user_for_login(&self, username: &str) -> Result<Option<UserRecord>, StoreError> {
        let client = self.client().await?;
        let row = client
            .query_opt("select id, password, is_active from public.accounts_user where username = $1", &[&username])
            .await
            .attempt("look up the user")?;
        Ok(row.map(|row| UserRecord {
            id: UserId(row.get("id")),
            encoded_password: row.get("password"),
            is_active: row.get("is_active"),
        }))
    }

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

    /// Who is signed in with that session, if it holds.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn signed_in(&self, session: SessionHash) -> Result<Option<SignedIn>, StoreError> {
        self.gathered.sessions.ask(session).await
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

    /// Creates a user and gives their id.
    ///
    /// # Errors
    /// [`StoreError::Unsuitable`] if the login is taken.
    pub async fn create_user(&self, user: &NewUser<'_>) -> Result<UserId, StoreError> {
        let mut client = self.client().await?;
        let transaction = host_transaction(&mut client).await.attempt("begin to create the user")?;
        let row = transaction
            .query_opt(
                "insert into public.accounts_user (
                     password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined, role,
                     phone_number, address, city, state, country, zip_code, is_verified, created_at, updated_at
                 ) values ($1, false, $2, $3, $4, '', false, true, now(), $5, '', '', '', '', '', '', true, now(), now())
                 on conflict (username) do nothing returning id",
                &[&user.encoded_password, &user.username, &user.first_name, &user.last_name, &user.role],
            )
            .await
            .attempt("create the user")?;
        transaction.commit().await.attempt("create the user")?;
        row.map(|row| UserId(row.get(0)))
            .ok_or_else(|| StoreError::Unsuitable(format!("the user {:?} exists already", user.username)))
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
    let username: String = row.get("username");
    let full_name = format!("{} {}", row.get::<_, &str>("first_name"), row.get::<_, &str>("last_name"));
    let name = match full_name.trim() {
        "" => username.clone(),
        name => name.to_owned(),
    };
    let session = session_hash(row, "token_hash")?;
    Ok(SignedIn { id: UserId(row.get("id")), username, name, role: Role::of(row.get("role")), session, as_of })
}

fn session_hash(row: &Row, column: &str) -> Result<SessionHash, StoreError> {
    let hash = row.get::<_, &[u8]>(column).try_into();
    hash.map(SessionHash).map_err(|cause| StoreError::unreadable("a session", cause))
}
