//! Django's password formats: what `accounts_user.password` may hold, and how a password is held against it.

use std::num::NonZeroU32;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::alphabet::{BCRYPT, STANDARD};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use md5::Md5;
use rand::Rng;
use rand::distr::Alphanumeric;
use ring::pbkdf2;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How often a new password is hashed: what Django 6.0 does.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(1_200_000).unwrap();

/// Letters and digits of a new password's salt, as many as Django takes.
const SALT_LENGTH: usize = 22;

/// Of a user that does not exist, this is checked. It costs what a new password does, and is no password's hash.
pub(super) const NOBODY: &str =
    "pbkdf2_sha256$1200000$nobodynobodynobodynobo$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The costliest hashes that are computed. Each bound is some ten times what Django 6.0 asks for by default, and takes a few
/// seconds: whoever can write a hash into the table can't keep a core busy for minutes with it.
const MOST_ITERATIONS: u32 = 12_000_000;
const MOST_ARGON2_KIB: u32 = 512 * 1_024;
const MOST_ARGON2_KIB_PASSES: u64 = 4 * 1_024 * 1_024;
const MOST_SCRYPT_MEMORY: u64 = 256 * 1_024 * 1_024;
const MOST_SCRYPT_WORK: u64 = 8 * 1_024 * 1_024;
const MOST_BCRYPT_COST: u32 = 16;

/// Why a hash can't be checked, in words that tell nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Incomprehensible {
    /// No hasher has that name.
    #[error("no hasher that is known here made it")]
    UnknownHasher,
    /// Django's `crypt`, which it dropped itself in 5.0.
    #[error("it is of Django's hasher crypt, which is not supported")]
    Crypt,
    /// It is not as its hasher writes it.
    #[error("it is not as its hasher writes it")]
    Malformed,
    /// It would take too long.
    #[error("to check it would take more time or memory than is given to a login")]
    TooCostly,
}

use Incomprehensible::{Malformed, TooCostly};

type Checked = Result<bool, Incomprehensible>;

/// Whether this is Django's mark of somebody who can't sign in by a password.
pub(super) fn is_unusable(encoded: &str) -> bool {
    encoded.is_empty() || encoded.starts_with('!')
}

/// Whether the password is the one that was encoded.
///
/// # Errors
/// If the encoding is none of Django's, or too costly to be checked.
pub(super) fn verify(password: &str, encoded: &str) -> Checked {
    let Some((hasher, rest)) = encoded.split_once('$') else {
        // as Django wrote MD5 without a salt
        let is_bare_md5 = encoded.len() == 32 && encoded.bytes().all(|byte| byte.is_ascii_hexdigit());
        return if is_bare_md5 {
            by_digest::<Md5>(password, "", encoded)
        } else {
            Err(Incomprehensible::UnknownHasher)
        };
    };
    match hasher {
        "pbkdf2_sha256" => by_pbkdf2::<32>(password, rest, pbkdf2::PBKDF2_HMAC_SHA256),
        "pbkdf2_sha1" => by_pbkdf2::<20>(password, rest, pbkdf2::PBKDF2_HMAC_SHA1),
        "argon2" => by_argon2(password, rest),
        "scrypt" => by_scrypt(password, rest),
        "bcrypt" => by_bcrypt(password.as_bytes(), rest),
        "bcrypt_sha256" => by_bcrypt(hexadecimal(&Sha256::digest(password)).as_bytes(), rest),
        "sha1" => rest.split_once('$').map_or(Err(Malformed), |(salt, hash)| by_digest::<Sha1>(password, salt, hash)),
        "md5" => rest.split_once('$').map_or(Err(Malformed), |(salt, hash)| by_digest::<Md5>(password, salt, hash)),
        "crypt" => Err(Incomprehensible::Crypt),
        _ => Err(Incomprehensible::UnknownHasher),
    }
}

/// Encodes a new password with Django's default hasher.
#[must_use]
pub fn encode(password: &str) -> String {
    let salt: String = rand::rng().sample_iter(Alphanumeric).take(SALT_LENGTH).map(char::from).collect();
    let mut hash = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, salt.as_bytes(), password.as_bytes(), &mut hash);
    format!("pbkdf2_sha256${ITERATIONS}${salt}${}", general_purpose::STANDARD.encode(hash))
}

/// Whether it is easier to guess by than what [`encode`] makes. Argon2, scrypt and bcrypt are not, whatever they cost.
pub(super) fn is_weaker_than_new(encoded: &str) -> bool {
    match encoded.split_once('$') {
        Some(("pbkdf2_sha256", rest)) => {
            let iterations = rest.split_once('$').and_then(|(iterations, _)| iterations.parse::<u32>().ok());
            iterations.is_some_and(|iterations| iterations < ITERATIONS.get())
        }
        Some((hasher, _)) => ["pbkdf2_sha1", "sha1", "md5"].contains(&hasher),
        None => true,
    }
}

/// `iterations$salt$hash`.
fn by_pbkdf2<const LENGTH: usize>(password: &str, rest: &str, algorithm: pbkdf2::Algorithm) -> Checked {
    let mut parts = rest.splitn(3, '$');
    let (Some(iterations), Some(salt), Some(hash)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Malformed);
    };
    let iterations = number(iterations)?;
    if iterations > MOST_ITERATIONS {
        return Err(TooCostly);
    }
    let expected = decoded(hash)?;
    let mut found = [0; LENGTH];
    let iterations = NonZeroU32::new(iterations).ok_or(Malformed)?;
    pbkdf2::derive(algorithm, iterations, salt.as_bytes(), password.as_bytes(), &mut found);
    Ok(is_same(&found, &expected))
}

/// `argon2id$v=19$m=102400,t=2,p=8$salt$hash`. Versions before 1.3 have no `v`.
fn by_argon2(password: &str, rest: &str) -> Checked {
    let parts: Vec<&str> = rest.split('$').collect();
    let (algorithm, version, costs, salt, hash) = match parts[..] {
        [algorithm, version, costs, salt, hash] => (algorithm, version, costs, salt, hash),
        [algorithm, costs, salt, hash] => (algorithm, "v=16", costs, salt, hash),
        _ => return Err(Malformed),
    };
    let algorithm = match algorithm {
        "argon2d" => Algorithm::Argon2d,
        "argon2i" => Algorithm::Argon2i,
        "argon2id" => Algorithm::Argon2id,
        _ => return Err(Malformed),
    };
    let version = match version {
        "v=16" => Version::V0x10,
        "v=19" => Version::V0x13,
        _ => return Err(Malformed),
    };
    let cost = |name: char| {
        let said = costs.split(',').find_map(|cost| cost.strip_prefix(name)?.strip_prefix('='));
        said.map_or(Err(Malformed), number)
    };
    let (memory, passes, lanes) = (cost('m')?, cost('t')?, cost('p')?);
    if memory > MOST_ARGON2_KIB || u64::from(memory) * u64::from(passes) > MOST_ARGON2_KIB_PASSES {
        return Err(TooCostly);
    }
    let (salt, expected) = (decoded(salt)?, decoded(hash)?);
    let params = Params::new(memory, passes, lanes, Some(expected.len())).map_err(|_| Malformed)?;
    let mut found = vec![0; expected.len()];
    let argon2 = Argon2::new(algorithm, version, params);
    argon2.hash_password_into(password.as_bytes(), &salt, &mut found).map_err(|_| Malformed)?;
    Ok(is_same(&found, &expected))
}

/// `n$salt$r$p$hash`.
fn by_scrypt(password: &str, rest: &str) -> Checked {
    let parts: Vec<&str> = rest.split('$').collect();
    let [n, salt, r, p, hash] = parts[..] else { return Err(Malformed) };
    let (n, r, p) = (number(n)?, number(r)?, number(p)?);
    if !n.is_power_of_two() || n < 2 {
        return Err(Malformed);
    }
    let block = u64::from(n).saturating_mul(u64::from(r));
    if block.saturating_mul(128) > MOST_SCRYPT_MEMORY || block.saturating_mul(u64::from(p)) > MOST_SCRYPT_WORK {
        return Err(TooCostly);
    }
    let log_n = u8::try_from(n.trailing_zeros()).map_err(|_| Malformed)?;
    let expected = decoded(hash)?;
    let params = scrypt::Params::new(log_n, r, p, expected.len()).map_err(|_| Malformed)?;
    let mut found = vec![0; expected.len()];
    scrypt::scrypt(password.as_bytes(), salt.as_bytes(), &params, &mut found).map_err(|_| Malformed)?;
    Ok(is_same(&found, &expected))
}

/// `$2b$12$` and after it 22 characters of salt and 31 of hash.
fn by_bcrypt(password: &[u8], rest: &str) -> Checked {
    /// The algorithm takes no more, and a zero byte ends it.
    const LONGEST: usize = 72;
    let letters = GeneralPurpose::new(
        &BCRYPT,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::RequireNone)
            .with_decode_allow_trailing_bits(true),
    );
    let parts: Vec<&str> = rest.split('$').collect();
    let ["", "2a" | "2b" | "2y", cost, salt_and_hash] = parts[..] else { return Err(Malformed) };
    let cost = number(cost)?;
    if cost > MOST_BCRYPT_COST {
        return Err(TooCostly);
    }
    if cost < 4 || salt_and_hash.len() != 53 || !salt_and_hash.is_ascii() {
        return Err(Malformed);
    }
    let (salt, hash) = salt_and_hash.split_at(22);
    let salt: [u8; 16] = letters.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(Malformed)?;
    let expected = letters.decode(hash).map_err(|_| Malformed)?;
    let mut password = password.to_vec();
    password.push(0);
    password.truncate(LONGEST);
    // the last byte of what is computed is no part of the hash
    let found = bcrypt::bcrypt(cost, salt, &password);
    Ok(is_same(&found[..23], &expected))
}

fn by_digest<D: Digest>(password: &str, salt: &str, hash: &str) -> Checked {
    let found = hexadecimal(&D::new().chain_update(salt).chain_update(password).finalize());
    if hash.len() != found.len() {
        return Err(Malformed);
    }
    Ok(is_same(found.as_bytes(), hash.to_ascii_lowercase().as_bytes()))
}

/// How long it takes does not tell how much of it is the same.
fn is_same(found: &[u8], expected: &[u8]) -> bool {
    found.ct_eq(expected).into()
}

/// A number above 0, of digits alone.
fn number(text: &str) -> Result<u32, Incomprehensible> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    match text.trim_start_matches('0').parse() {
        Ok(number) => Ok(number),
        Err(_) if text.bytes().all(|byte| byte == b'0') => Err(Malformed),
        Err(_) => Err(TooCostly),
    }
}

/// With or without its padding.
fn decoded(text: &str) -> Result<Vec<u8>, Incomprehensible> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(text).map_err(|_| Malformed)?;
    // a shorter one would be no hash, and a longer one is none that Django makes
    if (4..=128).contains(&bytes.len()) { Ok(bytes) } else { Err(Malformed) }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::Deserialize;

    use super::*;

    /// Passwords as real Djangos encoded them: `tests/vectors/django_passwords.py` made it.
    #[derive(Deserialize)]
    struct Vector {
        django: String,
        hasher: String,
        encoded: String,
        password: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/vectors/django_passwords.json")).unwrap()
    }

    #[test]
    fn every_hasher_of_every_django_is_understood() {
        let vectors = vectors();
        let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for Vector { django, hasher, encoded, password } in &vectors {
            let is_first = seen.entry(hasher).or_default().insert(&django[..3]);
            // those that take long differ from one Django to the next in how long, and so have all passwords in the newest alone
            let takes_long = ["PBKDF2", "Argon2", "BCrypt", "Scrypt"].iter().any(|family| hasher.starts_with(family));
            if takes_long && !is_first && !django.starts_with("6.0") {
                continue;
            }
            let expected = if hasher == "CryptPasswordHasher" { Err(Incomprehensible::Crypt) } else { Ok(true) };
            assert_eq!(verify(password, encoded), expected, "{django} {encoded}");
        }
        for hasher in ["PBKDF2", "PBKDF2SHA1", "Argon2", "BCryptSHA256", "BCrypt", "MD5"] {
            let versions = &seen[&*format!("{hasher}PasswordHasher")];
            assert!(versions.iter().copied().eq(["3.2", "4.2", "5.2", "6.0"]), "{hasher}: {versions:?}");
        }
        assert!(seen["ScryptPasswordHasher"].contains("4.2") && seen["ScryptPasswordHasher"].contains("6.0"));
    }

    #[test]
    fn another_password_matches_no_hash() {
        // of each hasher of the oldest and the newest Django one
        let mut tried = BTreeSet::new();
        for Vector { django, hasher, encoded, .. } in vectors() {
            let is_old_or_new = ["3.2", "6.0"].contains(&&django[..3]);
            if is_old_or_new && hasher != "CryptPasswordHasher" && tried.insert((django, hasher)) {
                assert_eq!(verify("correct horsf", &encoded), Ok(false), "{encoded}");
            }
        }
    }

    #[test]
    fn what_is_no_hash_of_django_is_told_and_never_a_panic() {
        for (encoded, expected) in [
            ("plain", Incomprehensible::UnknownHasher),
            ("md4$salt$hash", Incomprehensible::UnknownHasher),
            ("crypt$$ab1234567890.", Incomprehensible::Crypt),
            ("pbkdf2_sha256$x$y$z", Malformed),
            ("pbkdf2_sha256$0$salt$AAAA", Malformed),
            ("pbkdf2_sha256$+1$salt$AAAAAAAA", Malformed),
            ("pbkdf2_sha256$1$salt", Malformed),
            ("argon2$", Malformed),
            ("argon2$argon2id$v=19$m=8,t=1,p=1$+$AAAAAAAA", Malformed),
            ("argon2$argon2id$v=19$m=8,t=1,p=0$c2FsdHNhbHQ$AAAAAAAA", Malformed),
            ("argon2$argon2id$v=19$m=8,t=1,p=9$c2FsdHNhbHQ$AAAAAAAA", Malformed),
            ("argon2$argon2x$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAA", Malformed),
            ("bcrypt$$", Malformed),
            ("bcrypt$$2b$12$short", Malformed),
            ("bcrypt$$2b$12$ñññññññññññññññññññññññññññ", Malformed),
            ("bcrypt$$2b$03$Ugrq8dffvI1a5BI.04ZP6ue883W3UYLW2L6YupzWO1mMgsdXaj/s.", Malformed),
            ("scrypt$1$1$1$", Malformed),
            ("scrypt$15$salt$8$1$AAAAAAAA", Malformed),
            ("scrypt$1$salt$8$1$AAAAAAAA", Malformed),
            ("sha1$", Malformed),
            ("md5$salt$zz", Malformed),
        ] {
            assert_eq!(verify("plain", encoded), Err(expected), "{encoded}");
            assert!(!expected.to_string().contains(encoded));
        }
    }

    #[test]
    fn a_hash_that_would_take_minutes_is_not_begun() {
        for encoded in [
            "pbkdf2_sha256$12000001$salt$AAAAAAAA",
            "pbkdf2_sha256$99999999999$salt$AAAAAAAA",
            "argon2$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$AAAAAAAA",
            "argon2$argon2id$v=19$m=102400,t=4000000,p=1$c2FsdHNhbHQ$AAAAAAAA",
            "scrypt$1048576$salt$8$1$AAAAAAAA",
            "scrypt$16384$salt$8$1000$AAAAAAAA",
            "scrypt$2$salt$4294967295$4294967295$AAAAAAAA",
            "bcrypt$$2b$31$Ugrq8dffvI1a5BI.04ZP6ue883W3UYLW2L6YupzWO1mMgsdXaj/s.",
        ] {
            assert_eq!(verify("plain", encoded), Err(TooCostly), "{encoded}");
        }
    }

    #[test]
    fn a_new_password_is_as_strong_as_djangos_and_nobodys_hash_costs_the_same() {
        let encoded = encode("right");
        assert_eq!((verify("right", &encoded), verify("wrong", &encoded)), (Ok(true), Ok(false)));
        assert!(!is_weaker_than_new(&encoded));
        let cost = |encoded: &str| encoded.splitn(3, '$').take(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cost(NOBODY), cost(&encoded));
        for weaker in ["pbkdf2_sha256$1199999$s$h", "pbkdf2_sha1$9999999$s$h", "md5$s$h", "sha1$$h", "d41d8cd98f"] {
            assert!(is_weaker_than_new(weaker), "{weaker}");
        }
        for other in ["argon2$argon2i$m=8", "scrypt$2$s$8$1$h", "bcrypt$$2b$04$x", "bcrypt_sha256$$2b$04$x", "odd$x"] {
            assert!(!is_weaker_than_new(other), "{other}");
        }
    }
}
