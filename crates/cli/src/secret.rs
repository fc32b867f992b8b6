//! A cluster's secret is made: once, for its owner alone.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use storm_rpc::launch::hex;

/// Makes a secret in this file, of mode 0600, unless the file is there already; whether it was made.
/// Of several that try at once one makes it, and nobody ever sees half of it.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn make(path: &Path) -> io::Result<bool> {
    if path.exists() {
        return Ok(false);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut part = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    writeln!(part, "{}", hex(&StdRng::from_os_rng().random::<[u8; 32]>()))?;
    part.as_file().sync_all()?;
    match part.persist_noclobber(path) {
        Ok(_) => fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all().map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_one_user() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        assert!(make(&path).unwrap());
        let made = fs::read_to_string(&path).unwrap();
        assert_eq!(made.trim().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!make(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), made);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn of_many_at_once_one_makes_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let made = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| make(&path).unwrap())).collect();
            makers.into_iter().map(|maker| u32::from(maker.join().unwrap())).sum::<u32>()
        });
        assert_eq!(made, 1);
    }
}
