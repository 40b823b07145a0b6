//! Devices that have signed in to an account before. A cookie says so, signed with a key of the database, so that nobody can make one
//! up: whoever brings it is not slowed down by what others do to that account, and does not wait behind them. It signs nobody in.

use std::time::Duration;

use axum::http::HeaderMap;
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::{Digest, Sha256};

use super::session::{cookie_name, cookie_of_ours, cookies};
use crate::web::address::Site;

/// How long a device is known after it signed in.
const KEPT: Duration = Duration::from_secs(180 * 86_400);

/// How many cookies of that name are looked at.
const MOST_LOOKED_AT: usize = 3;

/// The name of an account, as it was given at a login, whether or not there is such an account.
#[derive(Clone, Copy)]
pub(crate) struct Account([u8; 32]);

impl Account {
    pub(crate) fn of(username: &str) -> Self {
        Self(Sha256::new().chain_update("account\0").chain_update(username).finalize().into())
    }

    pub(crate) fn digest(self) -> [u8; 32] {
        self.0
    }

    /// One for each account, as people share browsers.
    fn cookie(self) -> String {
        format!("oncare_live_device_{}", hexadecimal(&self.0[..4]))
    }

    /// `when.random.signature`.
    fn sign(self, key: &[u8], claim: &str) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        Some(mac.chain_update("device\0").chain_update(self.0).chain_update(claim))
    }

    /// Whether a request may come from a device that has signed in to this account before. Only then it is worth a look.
    pub(crate) fn has_device(self, site: &Site, headers: &HeaderMap) -> bool {
        cookies(headers, &cookie_name(site, &self.cookie())).next().is_some()
    }

    /// The device that a request comes from, if it has signed in to this account before, as a digest.
    pub(crate) fn device(self, key: &[u8], site: &Site, headers: &HeaderMap, now: i64) -> Option<[u8; 32]> {
        let name = self.cookie();
        let name = cookie_name(site, &name);
        cookies(headers, &name).take(MOST_LOOKED_AT).find_map(|cookie| {
            let (claim, signature) = cookie.rsplit_once('.')?;
            let signed_at: i64 = claim.split_once('.')?.0.parse().ok()?;
            let is_kept = now.checked_sub(signed_at)? <= i64::try_from(KEPT.as_secs()).ok()?;
            let is_right = self.sign(key, claim)?.verify_slice(&bytes(signature)?).is_ok();
            (is_kept && is_right).then(|| Sha256::new().chain_update("device\0").chain_update(claim).finalize().into())
        })
    }

    /// The cookie by which this device is known from now on.
    pub(crate) fn new_device(self, key: &[u8], site: &Site, headers: &HeaderMap, now: i64) -> Option<String> {
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        let claim = format!("{now}.{}", hexadecimal(&random));
        let signature = hexadecimal(&self.sign(key, &claim)?.finalize().into_bytes());
        Some(cookie_of_ours(&self.cookie(), format!("{claim}.{signature}"), KEPT, site, headers))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn cookie(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, value.parse().unwrap())])
    }

    #[test]
    fn a_device_is_known_for_its_account_alone_until_it_is_forgotten_and_nobody_can_make_one_up() {
        let site = Site::new("/", None, None);
        let (ana, ben) = (Account::of("ana"), Account::of("ben"));
        let set = ana.new_device(b"key", &site, &HeaderMap::new(), NOW).unwrap();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let pair = set.split(';').next().unwrap();
        let headers = cookie(pair);
        assert!(ana.has_device(&site, &headers) && !ben.has_device(&site, &headers));
        let device = ana.device(b"key", &site, &headers, NOW + 100).unwrap();
        assert_eq!(ana.device(b"key", &site, &headers, NOW + 200), Some(device));
        assert_eq!(ana.device(b"other key", &site, &headers, NOW), None);
        assert_eq!(ana.device(b"key", &site, &headers, NOW + 181 * 86_400), None);
        // the same under another account's name
        let of_ben = pair.replace(&ana.cookie(), &ben.cookie());
        assert_eq!(ben.device(b"key", &site, &cookie(&of_ben), NOW), None);
        let (name, value) = pair.split_once('=').unwrap();
        let (claim, signature) = value.rsplit_once('.').unwrap();
        for forged in [
            format!("{claim}."),
            format!("{claim}.{}", "0".repeat(64)),
            format!("9{claim}.{signature}"),
            format!("{claim}.{}", &signature[2..]),
            format!("{claim}.ñ{signature}"),
            signature.to_owned(),
            "...".to_owned(),
            String::new(),
        ] {
            let headers = HeaderMap::from_iter([(
                header::COOKIE,
                axum::http::HeaderValue::from_bytes(format!("{name}={forged}").as_bytes()).unwrap(),
            )]);
            assert_eq!(ana.device(b"key", &site, &headers, NOW), None, "{forged}");
        }
    }
}
