//! Files that have a secret in them.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is to be said of a file with a secret that is open to others.
#[must_use]
pub fn open_to_all(file: &Path) -> Option<String> {
    const OTHERS_READ: u32 = 0o004;
    let metadata = std::fs::metadata(file).ok()?;
    let is_open = metadata.is_file() && metadata.permissions().mode() & OTHERS_READ != 0;
    is_open.then(|| {
        let file = file.display();
        format!("{file} has a secret in it, and everybody on this machine may read it: chmod o-r {file}")
    })
}

/// A secret is a line or some: whoever names a disk means something else.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    const LONGEST: u64 = 65_536;
    let mut secret = Vec::new();
    if std::fs::File::open(file)?.take(LONGEST + 1).read_to_end(&mut secret)? as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "expected a secret of 64 KiB at most"));
    }
    Ok(secret)
}
