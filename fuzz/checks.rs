// What holds of anything that comes from outside, for the fuzzers and for the tests, which both include this file.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use oncare_live::cursor::{Cursor, Revision};
use oncare_live::django::{LARGEST_ROW, Refusal, SecretKeys};
use oncare_live::live::Payload;
use sha2::{Digest, Sha256};

/// A page's cursor: what is read of it is written and read the same, and so is its revision.
pub fn cursor(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Some(cursor) = Cursor::from_outside(&text) else { return };
    assert_eq!(Cursor::from_outside(&cursor.to_string()).as_ref(), Some(&cursor), "{text}");
    let revision = cursor.revision();
    assert_eq!(revision.to_string().parse::<Revision>().ok(), Some(revision), "{text}");
    assert!(cursor.snapshot.has(0) && !cursor.snapshot.has(u64::MAX), "{text}");
}

/// A notification: what is no trigger's says nothing.
pub fn notification(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let payload = Payload::parse(&text);
    assert_eq!(payload.is_crowded, text.ends_with(" crowded"), "{text}");
    if let Some(transaction) = payload.transaction {
        let written = format!("{transaction}{}", if payload.is_crowded { " crowded" } else { "" });
        let digits = text.trim_start_matches('+').trim_start_matches('0');
        assert!(written == digits || transaction == 0, "{text} is {transaction}");
    }
}

const KEY: &str = "a-key-of-the-fuzzers-and-of-nobody-else";

/// A session of Django's: one that nobody signed is nobody's, and one that somebody did is read or refused, however odd it is.
pub fn django_session(data: &[u8]) {
    let Ok(keys) = SecretKeys::parse(KEY.as_bytes(), b"") else { return };
    let text = String::from_utf8_lossy(data);
    assert!(matches!(keys.read(&text), Err(Refusal::WrongKey | Refusal::TooLarge)), "{text}");
    // as it is, as the content of one, and as the content of one that is compressed
    for signed in [signed(&text), signed(&encoded(data)), signed(&format!(".{}", encoded(data)))] {
        match keys.read(&signed) {
            Ok(claim) => assert!(!keys.confirm(&claim, "another password"), "{signed}"),
            Err(Refusal::TooLarge) => {
                assert!(signed.len() > LARGEST_ROW || signed.starts_with('.'), "{signed}");
            }
            Err(refusal) => assert_ne!(refusal, Refusal::WrongKey, "{signed}"),
        }
    }
}

fn encoded(data: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(data)
}

/// As Django signs, with the time 1.
fn signed(data: &str) -> String {
    let signed = format!("{data}:1");
    let salt = "django.contrib.sessions.SessionStoresigner";
    let derived = Sha256::new().chain_update(salt).chain_update(KEY).finalize();
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(&derived) else { return signed };
    format!("{signed}:{}", encoded(&mac.chain_update(&signed).finalize().into_bytes()))
}
