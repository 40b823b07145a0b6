//! Whose a demonstration's folder is: one program's at a time, which says there who and where it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::Context;

/// The file that whoever has the folder keeps locked. The lock goes with the process, however that ends.
const FILE: &str = "running";

/// The folder, for as long as this is kept.
pub(super) struct Hold(File);

impl Hold {
    /// Takes the folder, and makes it where there is none.
    pub(super) fn take(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("could not create the folder {}", folder.display()))?;
        let path = folder.join(FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.with_context(|| format!("could not open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                let mut hold = Self(file);
                hold.say(&format!("pid {}, starting", std::process::id()))?;
                Ok(hold)
            }
            Err(TryLockError::WouldBlock) => {
                let mut said = String::new();
                file.read_to_string(&mut said).with_context(|| format!("could not read {}", path.display()))?;
                anyhow::bail!(
                    "the demonstration in {} is already running, {}; give this one another folder with --data-dir",
                    folder.display(),
                    said.trim()
                )
            }
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("could not lock {}", path.display())),
        }
    }

    /// Says where it is.
    pub(super) fn serves_at(&mut self, url: &str) -> anyhow::Result<()> {
        self.say(&format!("pid {}, at {url}", std::process::id()))
    }

    fn say(&mut self, who: &str) -> anyhow::Result<()> {
        let mut write = || {
            self.0.rewind()?;
            self.0.set_len(0)?;
            writeln!(self.0, "{who}")
        };
        write().context("could not say who has the folder")
    }
}
