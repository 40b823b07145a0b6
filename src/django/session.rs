//! A row of `django_session`: whom it says to be signed in.

use std::io::Read;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::read::ZlibDecoder;
use serde::Deserialize;

use super::keys::SecretKeys;
use super::mac::is_hash_of;

/// Longest `session_data` that is read, in bytes.
pub const LARGEST_ROW: usize = 64 * 1_024;

/// How much it may be when it is not compressed any more, in bytes.
const LARGEST_DATA: u64 = 1_024 * 1_024;

/// `Signer` appends the word to the salt of `SessionStore`, which is that of `db` and of `cached_db`.
const SIGNATURE: &str = "django.contrib.sessions.SessionStoresigner";

/// What `AbstractBaseUser.get_session_auth_hash` hashes passwords with.
const PASSWORD: &str = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";

/// A pickle begins with its protocol since the second one; Django never wrote the first one.
const PICKLE: u8 = 0x80;

/// Somebody who has signed in, as a session says it. It is true as long as the user's password is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `accounts_user.id`.
    pub user_id: i64,
    /// The hash of the password with which they signed in.
    password_hash: Vec<u8>,
}

/// Why a session is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// None of the keys signed it.
    WrongKey,
    /// It is larger than what is read.
    TooLarge,
    /// It is a pickle, which is a program: it is not read.
    Pickle,
    /// It is signed, and is nothing that Django's `JSONSerializer` writes.
    Unreadable,
    /// Nobody is signed in.
    Nobody,
}

/// What is read of a session. All else in it is the host's.
#[derive(Deserialize)]
struct Data {
    #[serde(rename = "_auth_user_id")]
    user_id: Option<String>,
    #[serde(rename = "_auth_user_backend")]
    backend: Option<String>,
    #[serde(rename = "_auth_user_hash")]
    password_hash: Option<String>,
}

impl SecretKeys {
    /// Whom a row's `session_data` says to be signed in. When it was signed plays no part, as the row has a date of its own.
    ///
    /// # Errors
    /// If it says so of nobody, or was not written by Django with one of the keys.
    pub fn read(&self, session_data: &str) -> Result<Claim, Refusal> {
        if session_data.len() > LARGEST_ROW {
            return Err(Refusal::TooLarge);
        }
        let data = inflated(self.verified(session_data).ok_or(Refusal::WrongKey)?)?;
        if data.first() == Some(&PICKLE) {
            return Err(Refusal::Pickle);
        }
        let data: Data = serde_json::from_slice(&data).map_err(|_| Refusal::Unreadable)?;
        let (Some(user_id), Some(_), Some(hash)) = (data.user_id, data.backend, data.password_hash) else {
            return Err(Refusal::Nobody);
        };
        let claim = user_id.parse().ok().zip(bytes(&hash));
        claim.map(|(user_id, password_hash)| Claim { user_id, password_hash }).ok_or(Refusal::Unreadable)
    }

    /// Whether somebody still has the password with which they signed in, of which this is `accounts_user.password`.
    #[must_use]
    pub fn confirm(&self, claim: &Claim, password: &str) -> bool {
        self.each().any(|key| is_hash_of(&claim.password_hash, password.as_bytes(), PASSWORD, key))
    }

    /// What was signed, without signature and time: `data:time:signature`.
    fn verified<'a>(&self, session_data: &'a str) -> Option<&'a str> {
        let (signed, signature) = session_data.rsplit_once(':')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        let is_signed = self.each().any(|key| is_hash_of(&signature, signed.as_bytes(), SIGNATURE, key));
        signed.rsplit_once(':').filter(|_| is_signed).map(|(data, _)| data)
    }
}

/// The bytes behind base64 and, where a point begins it, zlib.
fn inflated(data: &str) -> Result<Vec<u8>, Refusal> {
    let (is_compressed, data) = data.strip_prefix('.').map_or((false, data), |data| (true, data));
    let data = BASE64_URL_SAFE_NO_PAD.decode(data).map_err(|_| Refusal::Unreadable)?;
    if !is_compressed {
        return Ok(data);
    }
    let mut inflated = Vec::new();
    let mut reader = ZlibDecoder::new(data.as_slice()).take(LARGEST_DATA + 1);
    reader.read_to_end(&mut inflated).map_err(|_| Refusal::Unreadable)?;
    if reader.limit() == 0 { Err(Refusal::TooLarge) } else { Ok(inflated) }
}

/// The bytes of a hexadecimal number as Python writes it.
fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digit = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? * 16 + digit(low)?),
        _ => None,
    };
    hexadecimal.as_bytes().chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use hmac::{Hmac, Mac};
    use sha2::{Digest, Sha256};

    use super::*;

    /// What real Djangos wrote, and what they said of it: `tests/vectors/django_sessions.py` made it.
    #[derive(Deserialize)]
    struct Vector {
        case: String,
        django: String,
        key: String,
        fallbacks: Vec<String>,
        password: String,
        refusal: Option<String>,
        session_data: String,
    }

    #[test]
    fn sessions_of_real_djangos_are_read_as_they_read_them() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../tests/vectors/django_sessions.json")).unwrap();
        for vector in &vectors {
            let keys = SecretKeys::parse(vector.key.as_bytes(), vector.fallbacks.join("\n").as_bytes()).unwrap();
            let found = match keys.read(&vector.session_data) {
                Ok(claim) if !keys.confirm(&claim, &vector.password) => Some("not signed in"),
                Ok(claim) => {
                    assert_eq!(claim.user_id, 1);
                    None
                }
                Err(Refusal::Nobody) => Some("not signed in"),
                Err(Refusal::WrongKey) => Some("wrong key"),
                Err(Refusal::Pickle) => Some("pickle"),
                Err(Refusal::Unreadable) => Some("unreadable"),
                Err(Refusal::TooLarge) => Some("too large"),
            };
            assert_eq!(found, vector.refusal.as_deref(), "{} of Django {}", vector.case, vector.django);
        }
        let versions: BTreeSet<&str> = vectors.iter().map(|vector| &vector.django[..3]).collect();
        assert_eq!(versions, BTreeSet::from(["3.2", "4.2", "5.0", "5.2", "6.0"]));
        let compressed = vectors.iter().filter(|vector| vector.session_data.starts_with('.')).count();
        assert!(compressed > 20 && vectors.len() - compressed > 20);
    }

    const KEY: &str = "a-key-of-some-length";

    /// As Django signs, with the time 1.
    fn signed(data: &str) -> String {
        let signed = format!("{data}:1");
        let derived = Sha256::new().chain_update(SIGNATURE).chain_update(KEY).finalize();
        let mac = Hmac::<Sha256>::new_from_slice(&derived).unwrap().chain_update(&signed).finalize();
        format!("{signed}:{}", BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes()))
    }

    fn read(data: &str) -> Result<Claim, Refusal> {
        SecretKeys::parse(KEY.as_bytes(), b"").unwrap().read(&signed(data))
    }

    fn encoded(data: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(data)
    }

    #[test]
    fn little_that_becomes_much_is_not_taken_up() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 32 * 1_024 * 1_024]).unwrap();
        let bomb = format!(".{}", encoded(encoder.finish().unwrap()));
        assert!(bomb.len() < LARGEST_ROW, "{}", bomb.len());
        assert_eq!(read(&bomb), Err(Refusal::TooLarge));
        assert_eq!(read(&encoded(vec![b' '; LARGEST_ROW])), Err(Refusal::TooLarge));
    }

    #[test]
    fn what_is_signed_and_makes_no_sense_is_nobodys() {
        let of = |id: &str, hash: &str| {
            encoded(format!(r#"{{"_auth_user_id":{id},"_auth_user_backend":"b","_auth_user_hash":{hash}}}"#))
        };
        assert_eq!(read(&of(r#""7""#, r#""ab0f""#)), Ok(Claim { user_id: 7, password_hash: vec![0xab, 0x0f] }));
        for data in [
            of(r#""x""#, r#""ab""#),
            of("7", r#""ab""#),
            of(r#""7""#, r#""AB""#),
            of(r#""7""#, r#""abc""#),
            of(r#""7""#, "5"),
            "*".to_owned(),
            ".AAAA".to_owned(),
            format!(".{}", encoded("{}")),
            String::new(),
        ] {
            assert_eq!(read(&data), Err(Refusal::Unreadable), "{data}");
        }
        for data in [of("null", r#""ab""#), of(r#""7""#, "null"), encoded("{}")] {
            assert_eq!(read(&data), Err(Refusal::Nobody), "{data}");
        }
        // protocol 2 of {"_auth_user_id": "7"}
        assert_eq!(read(&encoded(b"\x80\x02}q\x00X")), Err(Refusal::Pickle));
    }
}
