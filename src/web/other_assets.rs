//! Scripts and styles of other versions. While a service of several instances is updated, a balancer may lead a page of one version to
//! an instance of another for its scripts, and again for each of those that these import. Every instance keeps its own in the database, where
//! the others find them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::store::Store;

/// The files of how many other versions are kept in memory.
const KEPT: usize = 2;

/// How many versions that nobody has kept are remembered, and for how long.
const UNKNOWN: usize = 32;
const FORGOTTEN: Duration = Duration::from_secs(5);

/// How long a look may take, with the wait for those of others.
const PATIENCE: Duration = Duration::from_secs(2);

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
#[derive(Debug)]
pub struct OtherAssets {
    looked_up: Mutex<LookedUp>,
    /// One look at the database at a time, whatever is asked for.
    looking: Semaphore,
}

#[derive(Debug, Default)]
struct LookedUp {
    /// The last first.
    known: Vec<(String, Arc<Files>)>,
    /// What nobody has kept, and when that was seen; the last first.
    unknown: VecDeque<(String, Instant)>,
}

impl Default for OtherAssets {
    fn default() -> Self {
        Self { looked_up: Mutex::default(), looking: Semaphore::new(1) }
    }
}

impl OtherAssets {
    /// The files of a version; nothing where nobody has kept them. An error where that can't be said soon.
    pub(crate) async fn of(&self, version: &str, store: &Store) -> Result<Option<Arc<Files>>, Unavailable> {
        if version.len() != DIGITS || !version.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        match self.remembered(version) {
            Some(files) => Ok(files),
            None => timeout(PATIENCE, self.look_up(version, store)).await.map_err(|_| Unavailable)?,
        }
    }

    async fn look_up(&self, version: &str, store: &Store) -> Result<Option<Arc<Files>>, Unavailable> {
        let Ok(_looking) = self.looking.acquire().await else { return Err(Unavailable) };
        // somebody else may have looked meanwhile
        if let Some(files) = self.remembered(version) {
            return Ok(files);
        }
        let text = store.assets(version).await.map_err(|error| {
            tracing::debug!(error = error.chain(), "another version's files can't be read");
            Unavailable
        })?;
        let files = text.and_then(|text| parse(version, &text)).map(Arc::new);
        let mut looked_up = self.lock();
        match &files {
            Some(files) => {
                looked_up.known.insert(0, (version.to_owned(), Arc::clone(files)));
                looked_up.known.truncate(KEPT);
            }
            None => {
                looked_up.unknown.push_front((version.to_owned(), Instant::now()));
                looked_up.unknown.truncate(UNKNOWN);
            }
        }
        Ok(files)
    }

    /// What is known without a look: the files, or that there are none.
    fn remembered(&self, version: &str) -> Option<Option<Arc<Files>>> {
        let looked_up = self.lock();
        if let Some((_, files)) = looked_up.known.iter().find(|(of, _)| of == version) {
            return Some(Some(Arc::clone(files)));
        }
        let mut recent = looked_up.unknown.iter().filter(|(_, at)| at.elapsed() < FORGOTTEN);
        recent.any(|(of, _)| of == version).then_some(None)
    }

    fn lock(&self) -> MutexGuard<'_, LookedUp> {
        self.looked_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// It can't be said now whether there are files of a version.
#[derive(Debug)]
pub(crate) struct Unavailable;

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
