//! Devices that have signed in to an account before. A cookie says so, signed with a key of the database, so that nobody can make one
//! up: whoever brings it is not slowed down by what others do to that account, and does not wait behind them. It signs nobody in.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use hmac::{Hmac, Mac};
use rand::RngCore;
use sha2::{Digest, Sha256};

use super::session::{cookie_name, cookie_of_ours, cookies};
use crate::web::address::Site;

/// How long a device is known after it signed in.
const KEPT: Duration = Duration::from_secs(180 * 86_400);

/// How many cookies of that name are looked at.
const MOST_LOOKED_AT: usize = 3;

/// How many accounts know a browser. More cookies than that would soon be more than a proxy takes with a request.
const MOST_ACCOUNTS: usize = 8;

/// How many cookies a login takes back at most, so that its answer is not more than a proxy takes. The next goes on.
const MOST_TAKEN_BACK: usize = 16;

/// What the cookies are called; after it come as many digits as [`Account::cookie`] has.
const COOKIE: &str = "oncare_live_device_";
const DIGITS: usize = 8;

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
        format!("{COOKIE}{}", hexadecimal(&self.0[..DIGITS / 2]))
    }

    /// `when.random.password.signature`.
    fn sign(self, key: &[u8], claim: &str) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        Some(mac.chain_update("device\0").chain_update(self.0).chain_update(claim))
    }

    /// Whether a request may come from a device that has signed in to this account before. Only then it is worth a look.
    pub(crate) fn has_device(self, site: &Site, headers: &HeaderMap) -> bool {
        cookies(headers, &cookie_name(site, &self.cookie())).next().is_some()
    }

    /// The device that a request comes from, if it has signed in to this account before.
    pub(crate) fn device(self, key: &[u8], site: &Site, headers: &HeaderMap, now: i64) -> Option<Device> {
        let name = self.cookie();
        let name = cookie_name(site, &name);
        cookies(headers, &name).take(MOST_LOOKED_AT).find_map(|cookie| {
            let (claim, signature) = cookie.rsplit_once('.')?;
            let mut parts = claim.split('.');
            let (signed_at, _, password) = (parts.next()?.parse::<i64>().ok()?, parts.next()?, parts.next()?);
            let is_kept = now.checked_sub(signed_at)? <= i64::try_from(KEPT.as_secs()).ok()?;
            let is_right = self.sign(key, claim)?.verify_slice(&bytes(signature)?).is_ok();
            (is_kept && is_right).then(|| Device {
                digest: Sha256::new().chain_update("device\0").chain_update(claim).finalize().into(),
                password: password.to_owned(),
            })
        })
    }

    /// The cookie by which this device is known from now on, until the account gets another password; and those that are taken back,
    /// of accounts that signed in on it longest ago.
    pub(crate) fn new_device(
        self,
        key: &[u8],
        encoded_password: &str,
        site: &Site,
        headers: &HeaderMap,
        now: i64,
    ) -> Option<Vec<String>> {
        let mut random = [0; 16];
        rand::rng().fill_bytes(&mut random);
        let claim = format!("{now}.{}.{}", hexadecimal(&random), password_mark(key, encoded_password)?);
        let signature = hexadecimal(&self.sign(key, &claim)?.finalize().into_bytes());
        let name = self.cookie();
        let mut cookies = vec![cookie_of_ours(&name, format!("{claim}.{signature}"), KEPT, site, headers)];
        let others = newest_first(site, headers).into_iter().filter(|other| *other != name);
        let too_many = others.skip(MOST_ACCOUNTS - 1).take(MOST_TAKEN_BACK);
        cookies.extend(too_many.map(|name| cookie_of_ours(&name, String::new(), Duration::ZERO, site, headers)));
        Some(cookies)
    }
}

/// A device that has signed in to an account before.
pub(crate) struct Device {
    /// Which.
    pub(crate) digest: [u8; 32],
    /// The mark of the password that the account had then.
    password: String,
}

impl Device {
    /// Whether the account still has the password with which the device signed in.
    pub(crate) fn is_of(&self, key: &[u8], encoded_password: &str) -> bool {
        password_mark(key, encoded_password).is_some_and(|mark| mark == self.password)
    }
}

/// What tells one encoded password from the next, and nobody without the key anything about it.
fn password_mark(key: &[u8], encoded_password: &str) -> Option<String> {
    let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    let mac = mac.chain_update("password\0").chain_update(encoded_password).finalize().into_bytes();
    Some(hexadecimal(&mac[..8]))
}

/// The names of the devices' cookies that a request brings, by when they say that they were signed: nobody but the browser itself is
/// harmed where that is a lie.
fn newest_first(site: &Site, headers: &HeaderMap) -> Vec<String> {
    let mut found: Vec<(Option<i64>, String)> = Vec::new();
    let prefix = cookie_name(site, COOKIE);
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    for (name, value) in texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.split_once('=')) {
        let Some(digits) = name.trim().strip_prefix(&*prefix) else { continue };
        // nothing else that somebody made up is repeated in an answer
        if digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let signed_at = value.trim().split('.').next().and_then(|text| text.parse().ok());
            found.push((signed_at, format!("{COOKIE}{digits}")));
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    let mut names: Vec<String> = Vec::new();
    for (_, name) in found {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
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
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn cookie(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, value.parse().unwrap())])
    }

    #[test]
    fn a_device_is_known_for_its_account_alone_until_it_is_forgotten_and_nobody_can_make_one_up() {
        let site = Site::new("/", None, None);
        let (ana, ben) = (Account::of("ana"), Account::of("ben"));
        let set = ana.new_device(b"key", "hash", &site, &HeaderMap::new(), NOW).unwrap().remove(0);
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let pair = set.split(';').next().unwrap();
        let headers = cookie(pair);
        assert!(ana.has_device(&site, &headers) && !ben.has_device(&site, &headers));
        let device = ana.device(b"key", &site, &headers, NOW + 100).unwrap();
        assert_eq!(ana.device(b"key", &site, &headers, NOW + 200).unwrap().digest, device.digest);
        assert!(ana.device(b"other key", &site, &headers, NOW).is_none());
        assert!(ana.device(b"key", &site, &headers, NOW + 181 * 86_400).is_none());
        assert!(device.is_of(b"key", "hash") && !device.is_of(b"key", "another") && !pair.contains("hash"));
        // the same under another account's name
        let of_ben = pair.replace(&ana.cookie(), &ben.cookie());
        assert!(ben.device(b"key", &site, &cookie(&of_ben), NOW).is_none());
        let (name, value) = pair.split_once('=').unwrap();
        let (claim, signature) = value.rsplit_once('.').unwrap();
        for forged in [
            format!("{claim}."),
            format!("{claim}.{}", "0".repeat(64)),
            format!("9{claim}.{signature}"),
            format!("{claim}.{}", &signature[2..]),
            format!("{claim}.ñ{signature}"),
            format!("{}{}.{signature}", &claim[..claim.len() - 16], "0".repeat(16)),
            signature.to_owned(),
            "...".to_owned(),
            String::new(),
        ] {
            let headers = HeaderMap::from_iter([(
                header::COOKIE,
                axum::http::HeaderValue::from_bytes(format!("{name}={forged}").as_bytes()).unwrap(),
            )]);
            assert!(ana.device(b"key", &site, &headers, NOW).is_none(), "{forged}");
        }
    }

    /// Which cookies a login takes back where a request brings these.
    fn taken_back(site: &Site, cookies: &[String]) -> Vec<String> {
        let set = Account::of("ana").new_device(b"key", "hash", site, &cookie(&cookies.join("; ")), NOW).unwrap();
        assert!(!set[0].contains("Max-Age=0"), "{}", set[0]);
        let names = set[1..].iter().map(|set| {
            assert!(set.contains("=; ") && set.contains("Max-Age=0"), "{set}");
            set.split('=').next().unwrap().to_owned()
        });
        names.collect()
    }

    #[test]
    fn a_browser_is_known_to_the_last_accounts_alone_that_signed_in_on_it() {
        let name = |n: i64| format!("oncare_live_device_{n:08x}");
        for (https, before) in [(None, ""), (Some(true), "__Host-")] {
            let site = Site::new("/", None, https);
            let own = format!("{before}{}=1.a.b.c", Account::of("ana").cookie());
            let of = |n: i64| format!("{before}{}={}.a.b.c", name(n), NOW - n);
            let mut cookies: Vec<String> = (0..7).map(of).collect();
            cookies.extend([
                own,
                format!("{before}oncare_live_device_x=1.a"),
                format!("{before}oncare_live_session=1"),
            ]);
            assert_eq!(taken_back(&site, &cookies), Vec::<String>::new());
            cookies.insert(3, of(9));
            // one twice, and one that says nothing
            cookies.extend([of(9), format!("{before}{}=nonsense", name(8))]);
            let expected = [9, 8].map(|n| format!("{before}{}", name(n)));
            assert_eq!(taken_back(&site, &cookies), expected);
            let many: Vec<String> = (0..60).map(of).collect();
            assert_eq!(taken_back(&site, &many).len(), 16);
        }
    }
}
