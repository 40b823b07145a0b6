//! A disk that takes its time: a library, preloaded into the database server, that delays each flush.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

const SOURCE: &str = include_str!("../disk/slow_disk.c");

/// The library, compiled.
pub struct SlowDisk {
    library: PathBuf,
}

impl SlowDisk {
    /// Compiles it, beside a folder that it may not be in.
    ///
    /// # Errors
    /// If there is no C compiler, or the library can't be written.
    pub fn compile(folder: &Path) -> anyhow::Result<Self> {
        let (source, library) = (folder.with_extension("disk.c"), folder.with_extension("disk.so"));
        std::fs::write(&source, SOURCE).with_context(|| format!("could not write {}", source.display()))?;
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output()
            .context("could not run cc, the C compiler");
        std::fs::remove_file(&source)?;
        let compiled = compiled?;
        anyhow::ensure!(compiled.status.success(), "cc failed: {}", String::from_utf8_lossy(&compiled.stderr));
        // the server runs as another user
        std::fs::set_permissions(&library, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self { library })
    }

    /// The environment of a server whose flushes take that much longer.
    pub fn environment(&self, delay: Duration) -> Vec<(String, String)> {
        vec![
            ("LD_PRELOAD".to_owned(), self.library.display().to_string()),
            ("FLUSH_DELAY_US".to_owned(), delay.as_micros().to_string()),
        ]
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // a temporary file that nobody misses
        let _ = std::fs::remove_file(&self.library);
    }
}
