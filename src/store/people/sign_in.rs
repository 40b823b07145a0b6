//! How often signing in failed, which slows down whoever guesses, and what a login that succeeded writes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tokio_postgres::Transaction;

use super::session::SessionKey;
use super::user::UserRecord;
use crate::order::UserId;
use crate::store::database::{Attempt, Store, StoreError, host_transaction, optional_text};

/// How failures of one kind of thing slow it down: after some that are free each next attempt must wait twice as long as the one
/// before, up to [`LONGEST_WAIT`]. With time failures are forgiven.
struct Brake {
    free: i32,
    /// One is forgiven in so many seconds.
    forgiven_in: f64,
}

/// An account gets some 65 guesses in the first hour, and then 60.
const ACCOUNT: Brake = Brake { free: 5, forgiven_in: 600.0 };

/// From one address many people may come.
const ADDRESS: Brake = Brake { free: 100, forgiven_in: 60.0 };

const LONGEST_WAIT: f64 = 60.0;

/// How long it is known that an account signed in from an address.
const PLACE_KEPT: &str = "30 days";

/// What an attempt to sign in counts for. Each is a digest.
#[derive(Debug, Clone)]
pub struct Whom {
    /// The name that was given, whether or not there is such a user.
    pub account: [u8; 32],
    /// The address that it came from.
    pub address: [u8; 32],
    /// Both together: that the account signed in from there.
    pub place: [u8; 32],
    /// Both together: how often that failed.
    pub account_at_place: [u8; 32],
    /// The device, where it has signed in to that account before.
    pub device: Option<[u8; 32]>,
}

/// An attempt that was counted as a failure, which it is until it has succeeded: also where its sender does not wait for the answer.
#[derive(Debug, Clone)]
pub struct Attempted {
    whom: Whom,
    /// What it counts for besides the address: the account, or what it has of its own for a known device or place.
    counts_for: [u8; 32],
    counts_for_address: bool,
}

/// A session that begins.
pub struct NewSession<'a> {
    /// Its key.
    pub session: SessionKey,
    /// Whose it is.
    pub user: &'a UserRecord,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
    /// When it ends if nobody uses it.
    pub idle_at: DateTime<Utc>,
    /// From where its user signed in.
    pub address: &'a str,
    /// With what.
    pub browser: &'a str,
    /// The session that the browser had until now.
    pub replaces: Option<SessionKey>,
}

impl Store {
    /// Counts an attempt to sign in; or says how long the next must wait, and counts none. Failures of others don't slow down a device
    /// that has signed in to the account before, nor the account where it has signed in of late: whoever guesses elsewhere, and takes each
    /// attempt as soon as it is free, would else keep its owner out.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn attempt_sign_in(&self, whom: Whom) -> Result<Result<Attempted, Duration>, StoreError> {
        const COUNT: &str = "count an attempt to sign in";
        let mut client = self.client().await?;
        let transaction = client.transaction().await.attempt(COUNT)?;
        let (mut counts_for, mut counts_for_address) = (whom.account, false);
        if let Some(device) = whom.device {
            counts_for = device;
        } else {
            let place = format!("select from live.sign_in where key = $1 and at > now() - interval '{PLACE_KEPT}'");
            let is_known = transaction.query_opt(&place, &[&whom.place.as_slice()]).await.attempt(COUNT)?.is_some();
            if is_known {
                counts_for = whom.account_at_place;
            } else {
                counts_for_address = true;
            }
        }
        // always in this order, so that no two wait for each other
        let of_address = if counts_for_address { count(&transaction, &whom.address, &ADDRESS).await? } else { None };
        let wait = if of_address.is_some() { of_address } else { count(&transaction, &counts_for, &ACCOUNT).await? };
        if let Some(wait) = wait {
            transaction.rollback().await.attempt(COUNT)?;
            return Ok(Err(wait));
        }
        transaction.commit().await.attempt(COUNT)?;
        Ok(Ok(Attempted { whom, counts_for, counts_for_address }))
    }

    /// Begins a session, in place of the one that the browser had, and takes back that the attempt failed. It ends when it expires, is
    /// left alone or deleted, or the password is no longer the one that was checked. Gives whose session it replaced, and their login.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn begin_session(
        &self,
        new: &NewSession<'_>,
        attempted: &Attempted,
    ) -> Result<Option<(UserId, Option<String>)>, StoreError> {
        const BEGIN: &str = "begin a session";
        let mut client = self.client().await?;
        let transaction = client.transaction().await.attempt(BEGIN)?;
        succeeded(&transaction, attempted).await?;
        let replaces = new.replaces.map(|session| session.0.to_vec());
        let replaced = transaction
            .query_opt(
                "delete from live.session where token_hash = $1
                 returning user_id, (select username::text from public.accounts_user where id = user_id) as username",
                &[&replaces],
            )
            .await
            .attempt(BEGIN)?;
        transaction
            .execute(
                "insert into live.session (token_hash, user_id, password_digest, expires_at, idle_at, address, browser)
                 values ($1, $2, $3, $4, $5, $6, $7)",
                &[
                    &new.session.0.as_slice(),
                    &new.user.id.0,
                    &digest(&new.user.encoded_password),
                    &new.expires_at,
                    &new.idle_at,
                    &new.address,
                    &new.browser,
                ],
            )
            .await
            .attempt(BEGIN)?;
        transaction.commit().await.attempt(BEGIN)?;
        replaced.map(|row| Ok((UserId(row.get("user_id")), optional_text(&row, "username")?))).transpose()
    }

    /// Puts another encoding of the same password in the place of the one that was checked, unless it has been changed meanwhile. The
    /// user's sessions go on. Whether it was done.
    ///
    /// # Errors
    /// If the database can't be reached, or the role may not do that.
    pub async fn encode_anew(&self, user: &UserRecord, encoded_password: &str) -> Result<bool, StoreError> {
        const ENCODE: &str = "encode a password anew";
        let mut client = self.client().await?;
        let transaction = host_transaction(&mut client).await.attempt(ENCODE)?;
        let updated = transaction
            .execute(
                "update public.accounts_user set password = $2
                 where id operator(pg_catalog.=) $1
                     and pg_catalog.sha256(pg_catalog.convert_to(password, 'UTF8')) operator(pg_catalog.=) $3",
                &[&user.id.0, &encoded_password, &digest(&user.encoded_password)],
            )
            .await
            .attempt(ENCODE)?;
        if updated == 1 {
            transaction
                .execute(
                    "update live.session set password_digest = $2
                     where user_id operator(pg_catalog.=) $1 and password_digest operator(pg_catalog.=) $3",
                    &[&user.id.0, &digest(encoded_password), &digest(&user.encoded_password)],
                )
                .await
                .attempt(ENCODE)?;
        }
        transaction.commit().await.attempt(ENCODE)?;
        Ok(updated == 1)
    }

    /// The key by which a device is known that has signed in before, the same for all instances. Where it is missing, as after a
    /// restore without data, it is made.
    ///
    /// # Errors
    /// If the database can't be reached, or the role may not do that.
    pub async fn sign_in_key(&self) -> Result<Vec<u8>, StoreError> {
        const READ: &str = "read the sign-in key";
        let client = self.client().await?;
        if let Some(row) = client.query_opt("select key from live.sign_in_key", &[]).await.attempt(READ)? {
            return Ok(row.get(0));
        }
        client
            .execute("insert into live.sign_in_key default values on conflict do nothing", &[])
            .await
            .attempt("make the sign-in key")?;
        Ok(client.query_one("select key from live.sign_in_key", &[]).await.attempt(READ)?.get(0))
    }

    /// Forgets failures that slow nobody down any more, and from where accounts signed in long ago.
    ///
    /// # Errors
    /// If the database can't be reached.
    pub async fn tidy_sign_ins(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        let sql = format!(
            "delete from live.sign_in where at < now() - interval '1 day' and failures > 0 or at < now() - interval '{PLACE_KEPT}'"
        );
        client.execute(&sql, &[]).await.attempt("forget old failures to sign in")?;
        Ok(())
    }
}

fn digest(encoded_password: &str) -> Vec<u8> {
    Sha256::digest(encoded_password).to_vec()
}

/// Counts one more failure; or gives the time until that may be tried. Attempts at the same time are counted one after the other.
async fn count(transaction: &Transaction<'_>, key: &[u8; 32], brake: &Brake) -> Result<Option<Duration>, StoreError> {
    const COUNT: &str = "count an attempt to sign in";
    let counted = transaction
        .query_opt(
            "insert into live.sign_in as s (key, failures) values ($1, 1)
             on conflict (key) do update set (failures, blocked_until, at) = (
                 select f.failures, case when f.failures > $2
                     then now() + make_interval(secs => least($4::float8, 2 ^ least(f.failures - $2 - 1, 30)::float8)) end, now()
                 from (select 1 + greatest(0, s.failures
                     - floor(greatest(extract(epoch from now() - s.at), 0) / $3::float8)::integer) as failures) f
             )
             where coalesce(s.blocked_until <= now(), true)
             returning s.failures",
            &[&key.as_slice(), &brake.free, &brake.forgiven_in, &LONGEST_WAIT],
        )
        .await
        .attempt(COUNT)?;
    if counted.is_some() {
        return Ok(None);
    }
    let blocked = transaction
        .query_one(
            "select greatest(extract(epoch from max(blocked_until) - now()), 0)::float8 from live.sign_in where key = $1",
            &[&key.as_slice()],
        )
        .await
        .attempt(COUNT)?;
    let seconds: Option<f64> = blocked.get(0);
    Ok(Some(Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or_default()))
}

/// What was counted as a failure was none.
async fn succeeded(transaction: &Transaction<'_>, attempted: &Attempted) -> Result<(), StoreError> {
    const SUCCEED: &str = "note that somebody signed in";
    let Attempted { whom, counts_for, counts_for_address } = attempted;
    if *counts_for_address {
        transaction
            .execute(
                "update live.sign_in set failures = greatest(failures - 1, 0),
                     blocked_until = case when failures - 1 > $2 then blocked_until end where key = $1",
                &[&whom.address.as_slice(), &ADDRESS.free],
            )
            .await
            .attempt(SUCCEED)?;
    }
    transaction.execute("delete from live.sign_in where key = $1", &[&counts_for.as_slice()]).await.attempt(SUCCEED)?;
    transaction
        .execute(
            "insert into live.sign_in (key, failures) values ($1, 0)
             on conflict (key) do update set failures = 0, at = now()",
            &[&whom.place.as_slice()],
        )
        .await
        .attempt(SUCCEED)?;
    Ok(())
}
