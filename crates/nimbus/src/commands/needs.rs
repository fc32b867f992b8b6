//! What a topology's binary needs of a machine, and whether one has it.

use storm_cluster::{SupervisorRecord, TopologyRecord};
use storm_rpc::v1;

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
        let binary = &record.binary;
        Needs {
            arch: binary.arch.as_deref().unwrap_or_default(),
            glibc: binary.glibc.as_deref().unwrap_or_default(),
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
