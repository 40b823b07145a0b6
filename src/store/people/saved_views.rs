//! Lists that people come back to, by name, in their accounts.

use super::session::SignedIn;
use crate::order::Scope;
use crate::store::database::{Attempt, Store, StoreError, rows};

/// How many views somebody may have of one list.
const MOST_VIEWS: i64 = 30;

/// A filter and an order of a list, by a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedView {
    /// What its owner calls it.
    pub name: String,
    /// The query string with its `?`, as [`crate::order::Filter::query`] writes it; empty for all.
    pub query: String,
}

/// What the list of a scope is called in the table.
fn list(scope: Scope) -> &'static str {
    match scope {
        Scope::Rep(_) => "orders",
        Scope::All => "queue",
    }
}

impl Store {
    /// The user's views of a list, by name.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn saved_views(&self, user: &SignedIn, scope: Scope) -> Result<Vec<SavedView>, StoreError> {
        let sql = "select name, query from live.saved_view where user_id = $1 and list = $2 order by lower(name), name";
        self.lend(async |client| {
            let rows = rows(client, sql, &[&user.id.0, &list(scope)]).await.attempt("read the saved views")?;
            Ok(rows.iter().map(|row| SavedView { name: row.get("name"), query: row.get("query") }).collect())
        })
        .await
    }

    /// Saves a view, in place of the one of that name. `false` if there are too many already.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn save_view(&self, user: &SignedIn, scope: Scope, view: &SavedView) -> Result<bool, StoreError> {
        let client = self.client().await?;
        let saved = client
            .execute(
                "insert into live.saved_view (user_id, list, name, query)
                 select $1, $2::text, $3::text, $4
                 where (select count(*) from live.saved_view v where v.user_id = $1 and v.list = $2 and v.name <> $3) < $5
                 on conflict on constraint saved_view_pkey do update set query = excluded.query, created_at = now()",
                &[&user.id.0, &list(scope), &view.name, &view.query, &MOST_VIEWS],
            )
            .await
            .attempt("save the view")?;
        Ok(saved == 1)
    }

    /// Deletes the view of that name, if there is one.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn delete_view(&self, user: &SignedIn, scope: Scope, name: &str) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = "delete from live.saved_view where user_id = $1 and list = $2 and name = $3";
        client.execute(sql, &[&user.id.0, &list(scope), &name]).await.attempt("delete the view")?;
        Ok(())
    }
}
