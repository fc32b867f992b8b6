//! Which cluster this Nimbus belongs to, as it remembers on its disk. Where ZooKeeper says otherwise
//! or nothing, it was emptied or exchanged: then what it does not hold is unknown, not gone.

use std::io;
use std::path::{Path, PathBuf};

/// The file that holds the id.
#[derive(Clone, Debug)]
pub(crate) struct Remembered(PathBuf);

impl Remembered {
    pub(crate) fn new(directory: &Path) -> Remembered {
        Remembered(directory.join("cluster-id"))
    }

    /// The id, if one was ever seen.
    pub(crate) fn read(&self) -> io::Result<Option<String>> {
        match std::fs::read_to_string(&self.0) {
            Ok(id) => Ok(Some(id.trim().to_owned()).filter(|id| !id.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers an id.
    pub(crate) fn write(&self, id: &str) -> io::Result<()> {
        let part = self.0.with_extension("part");
        std::fs::write(&part, format!("{id}\n"))?;
        std::fs::rename(part, &self.0)
    }

    /// Compares what ZooKeeper says with what is remembered; remembers it if nothing was. The error is
    /// for people.
    pub(crate) fn agree(&self, found: Option<&str>) -> Result<(), String> {
        let remembered = self.read().map_err(|error| format!("cannot read {}: {error}", self.0.display()))?;
        match (found, remembered) {
            (Some(found), Some(remembered)) if *found == remembered => Ok(()),
            (Some(found), None) => {
                self.write(found).map_err(|error| format!("cannot write {}: {error}", self.0.display()))
            }
            (Some(found), Some(remembered)) => Err(format!(
                "ZooKeeper belongs to the cluster {found}, and this Nimbus to {remembered}: is \
                 'storm.zookeeper.servers' right? If it moved to the other cluster for good, remove {}",
                self.0.display()
            )),
            (None, Some(remembered)) => Err(format!(
                "ZooKeeper has forgotten that it belongs to the cluster {remembered}: what it held may be lost. \
                 Restore it; to begin anew with an empty one, remove {}",
                self.0.display()
            )),
            (None, None) => Err("ZooKeeper does not say which cluster it belongs to".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_first_id_is_remembered_and_another_refused() {
        let directory = tempfile::tempdir().unwrap();
        let remembered = Remembered::new(directory.path());
        assert!(remembered.agree(None).is_err());
        assert_eq!(remembered.agree(Some("a")), Ok(()));
        assert_eq!(remembered.agree(Some("a")), Ok(()));
        assert!(remembered.agree(Some("b")).unwrap_err().contains("belongs to the cluster b"));
        assert!(remembered.agree(None).unwrap_err().contains("has forgotten"));
    }
}
