//! Where a value comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a value of the configuration was set. Displays with its preposition, for messages:
/// `in storm.yaml, line 3`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The table of keys.
    Default,
    /// A line of the cluster's file, `storm.yaml`.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// The configuration of whoever submitted the topology.
    Submitter,
    /// The code of the topology.
    TopologyCode,
    /// A line of the file given from outside for this topology.
    TopologyFile {
        /// The file, as it was named.
        path: PathBuf,
        /// The line of the key, from 1.
        line: usize,
    },
    /// `-c key=value` on the command line.
    Argument,
    /// The configuration of a single component.
    Component {
        /// The component's name.
        component: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("in the defaults"),
            Self::File { path, line } | Self::TopologyFile { path, line } => {
                write!(f, "in {}, line {line}", path.display())
            }
            Self::Environment { variable } => write!(f, "in the variable {variable}"),
            Self::Submitter => f.write_str("in the submitter's storm.yaml"),
            Self::TopologyCode => f.write_str("in the topology's code"),
            Self::Argument => f.write_str("in -c"),
            Self::Component { component } => write!(f, "in the component '{component}'"),
        }
    }
}
