//! Scripts and styles of other versions. While a service of several instances is updated, a balancer may lead a page of one version to
//! an instance of another for its scripts, and again for each of those that these import. Every instance keeps its own in the database, where
//! the others find them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::store::{Store, StoreError};

/// The files of how many other versions are kept in memory.
const KEPT: usize = 2;

/// How many digits the hash of a version has.
const DIGITS: usize = 12;

/// The texts of a version's files, by their names.
pub(crate) type Files = BTreeMap<String, String>;

/// Identifies the content of files.
pub(crate) fn version_of<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut digest = Sha256::new();
    for (name, data) in files {
        digest.update(name.as_bytes());
        digest.update(Sha256::digest(data));
    }
    let hash = digest.finalize();
    hash.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Those that pages of other versions have asked for here.
#[derive(Debug, Default)]
pub struct OtherAssets(Mutex<Vec<(String, Arc<Files>)>>);

impl OtherAssets {
    /// The files of a version; nothing where nobody has kept them. One look at the database at a time, whatever is asked for.
    pub(crate) async fn of(&self, version: &str, store: &Store) -> Result<Option<Arc<Files>>, StoreError> {
        if version.len() != DIGITS || !version.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut kept = self.0.lock().await;
        if let Some((_, files)) = kept.iter().find(|(of, _)| of == version) {
            return Ok(Some(Arc::clone(files)));
        }
        let Some(files) = store.assets(version).await?.and_then(|text| parse(version, &text)) else { return Ok(None) };
        let files = Arc::new(files);
        kept.insert(0, (version.to_owned(), Arc::clone(&files)));
        kept.truncate(KEPT);
        Ok(Some(files))
    }
}

/// What was kept, if it is what the version's name says.
fn parse(version: &str, text: &str) -> Option<Files> {
    let files: Files = serde_json::from_str(text).ok()?;
    let is_of_version = version_of(files.iter().map(|(name, text)| (name.as_str(), text.as_bytes()))) == version;
    if !is_of_version {
        tracing::warn!(version, "what is kept in live.asset are not this version's files, and is not served");
    }
    is_of_version.then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_taken_for_a_version_but_its_files() {
        let files = Files::from([("js/a.js".to_owned(), "1".to_owned()), ("icon.svg".to_owned(), "<svg>".to_owned())]);
        let version = version_of(files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())));
        let kept = serde_json::to_string(&files).unwrap();
        assert_eq!(parse(&version, &kept), Some(files));
        for other in [kept.replace('1', "2"), kept.replace("a.js", "b.js"), "{}".to_owned(), "no".to_owned()] {
            assert_eq!(parse(&version, &other), None, "{other}");
        }
    }
}
