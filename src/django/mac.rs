//! Django's keyed hash, `django.utils.crypto.salted_hmac` with SHA-256.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// Whether this is the hash of the value with the key for that purpose. How long it takes does not tell how much of it is right.
pub(super) fn is_hash_of(hash: &[u8], value: &[u8], salt: &str, key: &[u8]) -> bool {
    let derived = Sha256::new().chain_update(salt).chain_update(key).finalize();
    // every length of a key serves
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(&derived) else { return false };
    mac.chain_update(value).verify_slice(hash).is_ok()
}
