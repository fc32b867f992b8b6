//! What a topology's binary needs of a machine, and whether one has it.
//!
//! It stands in the topology's configuration, under keys of our own, so that the next leader and
//! people can read it.

use serde_json::Value;
use storm_cluster::{SupervisorRecord, TopologyRecord};
use storm_model::ConfigMap;
use storm_rpc::v1;

const ARCH: &str = "storm-rs.binary.arch";
const GLIBC: &str = "storm-rs.binary.glibc";

/// What a binary needs; empty text: anything will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs<'a> {
    pub(crate) arch: &'a str,
    pub(crate) glibc: &'a str,
}

impl<'a> Needs<'a> {
    pub(crate) fn asked(request: &'a v1::SubmitRequest) -> Needs<'a> {
        Needs { arch: &request.arch, glibc: &request.glibc }
    }

    pub(crate) fn of(record: &'a TopologyRecord) -> Needs<'a> {
        let text = |key| record.config.get(key).and_then(Value::as_str).unwrap_or_default();
        Needs { arch: text(ARCH), glibc: text(GLIBC) }
    }

    pub(crate) fn note(self, config: &mut ConfigMap) {
        for (key, text) in [(ARCH, self.arch), (GLIBC, self.glibc)] {
            if !text.is_empty() {
                config.insert(key.to_owned(), text.into());
            }
        }
    }

    /// Why it cannot run there, if it cannot.
    pub(crate) fn fit(self, supervisor: &SupervisorRecord) -> Result<(), String> {
        if !self.arch.is_empty() && !supervisor.arch.is_empty() && self.arch != supervisor.arch {
            return Err(format!("built for {}, the machine is {}", self.arch, supervisor.arch));
        }
        if let Some(theirs) = &supervisor.glibc
            && version(self.glibc) > version(theirs)
        {
            return Err(format!("needs glibc {}, the machine has {theirs}", self.glibc));
        }
        Ok(())
    }
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn versions_are_compared_by_number() {
        let supervisor = testing::supervisor("a", 1);
        let needs = |arch, glibc| Needs { arch, glibc };
        assert_eq!(needs("x86_64", "2.4").fit(&supervisor), Ok(()));
        assert_eq!(needs("", "").fit(&supervisor), Ok(()));
        let error = needs("x86_64", "2.38").fit(&supervisor).unwrap_err();
        assert_eq!(error, "needs glibc 2.38, the machine has 2.36");
        let error = needs("aarch64", "").fit(&supervisor).unwrap_err();
        assert_eq!(error, "built for aarch64, the machine is x86_64");
    }
}
