//! Users of the existing system.

use crate::order::UserId;
use crate::store::database::{Attempt, Store, StoreError, host_transaction};

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

    /// The code of those who also run the service.
    pub const ADMINISTRATOR: &str = "admin";

    /// Reads the code of a role.
    #[must_use]
    pub fn of(code: &str) -> Self {
        match code {
            "sales_rep" => Self::SalesRep,
            "pharmacist_admin" => Self::Pharmacist,
            Self::ADMINISTRATOR => Self::Admin,
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
                 ) values ($1, false, $2, $3, $4, '', false, true, pg_catalog.now(), $5, '', '', '', '', '', '', true,
                     pg_catalog.now(), pg_catalog.now())
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
