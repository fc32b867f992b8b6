//! The arguments that these examples have in common.

use std::path::PathBuf;

use clap::Args;

/// Which input is read, and where the result goes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Input file (default: the one that is embedded in this program)
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,

    /// Where to write the result; directories are created, files are replaced atomically (default:
    /// a summary on stdout)
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,

    /// Read the input over and over, for load; there is no result then
    #[arg(long)]
    pub repeat: bool,
}
