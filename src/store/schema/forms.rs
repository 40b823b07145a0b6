//! Whether forms of the service's own can do their work: found before one is offered, and not by a person whose change fails.

use tokio_postgres::Client;

use super::host::{has_django, problems};
use super::rights::{OF_HISTORY, as_grants, lacking_for_forms};
use crate::store::database::{Attempt, Store, StoreError};

/// What does not follow where an order is changed past the code of the application that manages it.
pub const BYPASSED: &str = "stock and stock movements, reorder alerts, payment transactions, notifications, and whatever else its \
                            code does when an order changes";

impl Store {
    /// What keeps forms of the service's own from working, each with what to do; nothing where they work. Django's being there does,
    /// unless it is to be bypassed.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn form_obstacles(&self, bypass_django: bool) -> Result<Vec<String>, StoreError> {
        let client = self.client().await?;
        let mut obstacles = Vec::new();
        if !bypass_django && has_django(&client).await? {
            obstacles.push(format!(
                "Django manages this database (it has a table django_migrations), and own forms would bypass its code: {BYPASSED} would not \
                 follow. Serve without --own-forms, so that orders are changed on the application's own pages; who wants it all the \
                 same adds --own-forms-bypass-django"
            ));
        }
        obstacles.extend(problems(&client).await?);
        let lacking = lacking_for_forms(&client).await?;
        if !lacking.is_empty() {
            let grants = as_grants(&client, &lacking).await?;
            obstacles
                .push(format!("the role lacks rights that forms need; as the tables' owner run: {}", grants.join(" ")));
        }
        obstacles.extend(unwritten(&client).await?);
        obstacles.extend(hidden_from_writing(&client).await?);
        Ok(obstacles)
    }

    /// The same as it was at most some seconds ago, for who asks often, and always with the same of Django.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn recent_form_obstacles(&self, bypass_django: bool) -> Result<Vec<String>, StoreError> {
        self.form_obstacles.or(self.form_obstacles(bypass_django)).await
    }

    /// Whether Django manages the database.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn has_django(&self) -> Result<bool, StoreError> {
        has_django(&*self.client().await?).await
    }
}

/// Columns of the history that need a value, which no form gives them.
async fn unwritten(client: &Client) -> Result<Option<String>, StoreError> {
    let rows = client
        .query(
            "select a.attname::text from pg_attribute a
             join pg_class c on c.oid = a.attrelid
             where c.relnamespace = to_regnamespace('public') and c.relname = 'orders_orderstatushistory'
                 and a.attnum > 0 and not a.attisdropped and a.attnotnull and not a.atthasdef and a.attidentity = ''
                 and a.attname <> all ($1::text[])
             order by a.attnum",
            &[&OF_HISTORY.as_slice()],
        )
        .await
        .attempt("look at the history's columns")?;
    let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    Ok((!names.is_empty()).then(|| {
        format!(
            "public.orders_orderstatushistory needs a value in {}, which no form gives it: give it a default, or serve without \
             --own-forms",
            names.join(", ")
        )
    }))
}

/// A policy that lets the role write every row refuses none, unless a restrictive one does.
async fn hidden_from_writing(client: &Client) -> Result<Option<String>, StoreError> {
    let rows = client
        .query(
            "select 'public.' || c.relname
             from (values ('orders_order', 'w'), ('orders_orderstatushistory', 'a')) n (name, command)
             join pg_class c on c.relnamespace = to_regnamespace('public') and c.relname = n.name
             where row_security_active(c.oid) and not (
                 exists (select from pg_policy p where p.polrelid = c.oid and p.polpermissive
                     and p.polcmd in ('*', n.command::\"char\")
                     and coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
                     and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true'
                     and exists (select from unnest(p.polroles) r where r = 0 or pg_has_role(r, 'usage')))
                 and not exists (select from pg_policy p where p.polrelid = c.oid and not p.polpermissive
                     and p.polcmd in ('*', n.command::\"char\")))
             order by 1",
            &[],
        )
        .await
        .attempt("look at row-level security")?;
    let names: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    Ok((!names.is_empty()).then(|| {
        format!(
            "row-level security may refuse what forms write to {}: give the role a policy for all with using (true), or the \
             attribute bypassrls",
            names.join(" and ")
        )
    }))
}
