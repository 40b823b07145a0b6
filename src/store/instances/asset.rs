//! The scripts and styles of each version that serves.

use crate::store::database::{Attempt, BRIEFLY, Store, StoreError};

/// The files of a version that nobody has served for so long are deleted.
const KEPT: &str = "7 days";

impl Store {
    /// Keeps the files of a version that serves, for instances of other versions.
    ///
    /// # Errors
    /// If the database can't be reached, or nothing can be written there.
    pub async fn keep_assets(&self, version: &str, files: &str) -> Result<(), StoreError> {
        const KEEP: &str = "keep this version's scripts and styles";
        let client = self.client_for(BRIEFLY).await?;
        let used = "update live.asset set used_at = now() where version = $1";
        if client.execute(used, &[&version]).await.attempt(KEEP)? == 0 {
            let insert = "insert into live.asset (version, files) values ($1, $2) on conflict do nothing";
            client.execute(insert, &[&version, &files]).await.attempt(KEEP)?;
        }
        let old = format!("delete from live.asset where used_at < now() - interval '{KEPT}'");
        client.execute(&old, &[]).await.attempt(KEEP)?;
        Ok(())
    }

    /// The files of a version; nothing where none of it has served here of late.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn assets(&self, version: &str) -> Result<Option<String>, StoreError> {
        let client = self.client_for(BRIEFLY).await?;
        let row = client.query_opt("select files from live.asset where version = $1", &[&version]).await;
        Ok(row.attempt("read another version's scripts and styles")?.map(|row| row.get(0)))
    }
}
