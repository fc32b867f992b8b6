//! Images: ours, and those that stand in for the ones of a registry where none can be reached.
//!
//! ```text
//! debian:bookworm-slim   debootstrap
//!   rust:1.x-bookworm      + this machine's toolchain, the crates       docker/stand-in/rust.Dockerfile
//!   zookeeper:3.x          + Debian's package                           docker/stand-in/zookeeper.Dockerfile
//!   storm-rs:latest        Dockerfile, on any bases
//! ```
//!
//! A stand-in has a label with a digest of what it was made of: it is made again when that changes. An image
//! without the label is a real one and stays as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::compose::{Compose, docker};
use super::error::DemoError;
use super::programs;
use super::story::Story;

/// What the image may add to its base, in megabytes.
const ALLOWED_MB: u64 = 60;
/// Says what a stand-in was made of.
const LABEL: &str = "storm-rs.stand-in";
/// Debian's release in the stand-ins.
const SUITE: &str = "bookworm";
/// Packages, or gigabytes, are copied.
const WITHIN: Duration = Duration::from_secs(3600);

const DOCKERFILE: &str = "Dockerfile";
const COMPOSE_FILE: &str = "docker-compose.yml";
const DIRECTORY: &str = "docker/stand-in";

/// What is not needed to run Debian's programs.
const LEFT_OUT: &[&str] = &[
    "etc/hostname",
    "etc/resolv.conf",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
];
/// Directories of those that programs expect nevertheless.
const EMPTY: &[&str] = &["var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log/apt"];

/// The images that ours are built on or run beside.
#[derive(Debug, PartialEq, Eq)]
struct Bases {
    build: String,
    runtime: String,
    zookeeper: String,
}

impl Bases {
    fn read(root: &Path) -> Result<Bases, DemoError> {
        let dockerfile = read(&root.join(DOCKERFILE))?;
        let compose = read(&root.join(COMPOSE_FILE))?;
        let after = |file, text: &str, start: &str| {
            let found = text.lines().find_map(|line| line.trim().strip_prefix(start)).map(str::to_owned);
            found.ok_or_else(|| DemoError::Lacks { file, what: format!("line '{start}…'") })
        };
        let zookeeper = after(COMPOSE_FILE, &compose, "image: zookeeper:")?;
        Ok(Bases {
            build: after(DOCKERFILE, &dockerfile, "ARG BUILD_BASE=")?,
            runtime: after(DOCKERFILE, &dockerfile, "ARG RUNTIME_BASE=")?,
            zookeeper: format!("zookeeper:{zookeeper}"),
        })
    }
}

/// Makes stand-ins for those bases that are missing.
pub(super) fn stand_in(root: &Path, story: &mut Story) -> Result<(), DemoError> {
    let bases = Bases::read(root)?;
    let directory = root.join(DIRECTORY);
    let of_debian = digest(&[SUITE, &LEFT_OUT.concat()]);
    make(&bases.runtime, &of_debian, story, || debian(&bases.runtime, &of_debian))?;

    let toolchain = said(Command::new("rustc").arg("-vV"))?;
    let lock = read(&root.join("Cargo.lock"))?;
    let rust = directory.join("rust.Dockerfile");
    let of_rust = digest(&[&of_debian, &toolchain, &lock, &read(&rust)?]);
    make(&bases.build, &of_rust, story, || {
        let context = temporary()?;
        let path = context.path();
        fill_rust(root, path)?;
        build(&bases, &bases.build, &of_rust, &rust, path)
    })?;

    let zookeeper = directory.join("zookeeper.Dockerfile");
    let start = read(&directory.join("zookeeper-entrypoint.sh"))?;
    let of_zookeeper = digest(&[&of_debian, &read(&zookeeper)?, &start]);
    make(&bases.zookeeper, &of_zookeeper, story, || {
        build(&bases, &bases.zookeeper, &of_zookeeper, &zookeeper, &directory)
    })
}

/// Builds the image, and sees to it that it is small.
pub(super) fn build_ours(compose: &Compose, root: &Path, story: &mut Story) -> Result<(), DemoError> {
    let begun = Instant::now();
    // All services have this image.
    compose.build("secret", story)?;
    let took = begun.elapsed().as_secs();
    let size = |image: &str| -> Result<u64, DemoError> {
        let text = docker(&["image", "inspect", "--format", "{{.Size}}", image])?;
        text.parse().map_err(|_| DemoError::Lacks { file: DOCKERFILE, what: format!("size: {text}") })
    };
    let added = size("storm-rs:latest")?.saturating_sub(size(&Bases::read(root)?.runtime)?);
    let megabytes = added.div_ceil(1_000_000);
    if megabytes > ALLOWED_MB {
        return Err(DemoError::TooLarge { megabytes, allowed: ALLOWED_MB });
    }
    story.seen(&format!(
        "the image is built after {took} s; it adds {megabytes} MB to its base, {ALLOWED_MB} are allowed"
    ));
    Ok(())
}

/// Makes an image, unless it is there.
fn make(
    tag: &str,
    digest: &str,
    story: &mut Story,
    make: impl FnOnce() -> Result<(), DemoError>,
) -> Result<(), DemoError> {
    let format = format!("{{{{index .Config.Labels \"{LABEL}\"}}}}");
    // Docker fails when there is no such image.
    let there = docker(&["image", "inspect", "--format", &format, tag]).ok();
    match there.as_deref() {
        Some(label) if label == digest => story.tell(&format!("{tag}: a stand-in that is there already")),
        Some("" | "<no value>") => story.tell(&format!("{tag}: is there, no stand-in is needed")),
        _ => {
            story.tell(&format!("{tag}: a stand-in is made"));
            let begun = Instant::now();
            make()?;
            story.tell(&format!("{tag}: made after {} s", begun.elapsed().as_secs()));
        }
    }
    Ok(())
}

/// Debian's smallest system, less what nobody reads in a container.
fn debian(tag: &str, digest: &str) -> Result<(), DemoError> {
    let parent = temporary()?;
    let system = parent.path().join("system");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", SUITE]).arg(&system);
    said(&mut debootstrap).map_err(|error| match error {
        DemoError::Missing { program, error, .. } => {
            DemoError::Missing { program, error, advice: "; Debian has it in the package debootstrap" }
        }
        other => other,
    })?;
    for path in LEFT_OUT {
        let path = system.join(path);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, error));
            }
            _ => {}
        }
    }
    for path in EMPTY {
        let path = system.join(path);
        fs::create_dir_all(&path).map_err(|error| failed("make", &path, error))?;
    }
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&system).args(["--numeric-owner", "-c", "."]);
    let mut import = Command::new("docker");
    let label = format!("LABEL {LABEL}={digest}");
    import.args(["import", "--change", "CMD [\"bash\"]", "--change", &label, "-", tag]);
    programs::pipe(&mut tar, &mut import, WITHIN)
}

/// The toolchain that runs this, without what a build does not need, and the crates of Cargo.lock.
fn fill_rust(root: &Path, context: &Path) -> Result<(), DemoError> {
    let sysroot = PathBuf::from(said(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    let toolchain = context.join("toolchain");
    let bin = toolchain.join("bin");
    fs::create_dir_all(&bin).map_err(|error| failed("make", &bin, error))?;
    for program in ["cargo", "rustc"] {
        let (from, to) = (sysroot.join("bin").join(program), bin.join(program));
        fs::copy(&from, &to).map_err(|error| failed("copy", &from, error))?;
    }
    said(Command::new("cp").arg("-a").arg(sysroot.join("lib")).arg(&toolchain))?;
    let sources = toolchain.join("lib/rustlib/src");
    if sources.exists() {
        fs::remove_dir_all(&sources).map_err(|error| failed("remove", &sources, error))?;
    }
    let cargo = context.join("cargo");
    let mut vendor = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    vendor.current_dir(root).args(["vendor", "--locked", "--versioned-dirs"]).arg(cargo.join("vendor"));
    said(&mut vendor)?;
    let config = cargo.join("config.toml");
    fs::write(&config, CARGO_CONFIG).map_err(|error| failed("write", &config, error))
}

/// How cargo finds the crates in the stand-in.
const CARGO_CONFIG: &str = "\
[source.crates-io]
replace-with = \"vendored-sources\"

[source.vendored-sources]
directory = \"/usr/local/cargo/vendor\"
";

/// Packages come over the network of this machine, which may know ways that containers do not.
fn build(bases: &Bases, tag: &str, digest: &str, dockerfile: &Path, context: &Path) -> Result<(), DemoError> {
    let mut build = Command::new("docker");
    build.args(["build", "--network", "host", "--tag", tag]);
    build.args(["--label", &format!("{LABEL}={digest}")]);
    build.args(["--build-arg", &format!("BASE={}", bases.runtime)]);
    build.arg("--file").arg(dockerfile).arg(context);
    programs::show(&mut build, WITHIN)
}

fn said(command: &mut Command) -> Result<String, DemoError> {
    programs::run(command, WITHIN)
}

fn temporary() -> Result<tempfile::TempDir, DemoError> {
    let made = tempfile::Builder::new().prefix("storm-rs-demo-").tempdir();
    made.map_err(|error| DemoError::Io { what: "make a directory".to_owned(), error })
}

fn read(path: &Path) -> Result<String, DemoError> {
    fs::read_to_string(path).map_err(|error| failed("read", path, error))
}

fn failed(what: &str, path: &Path, error: io::Error) -> DemoError {
    DemoError::Io { what: format!("{what} {}", path.display()), error }
}

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    let bytes = digest.finalize();
    bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bases_stand_in_our_files() {
        let bases = Bases::read(crate::root()).unwrap();
        assert!(bases.build.starts_with("rust:1.") && bases.build.ends_with(SUITE), "{bases:?}");
        assert!(bases.runtime.starts_with("debian:") && bases.runtime.contains(SUITE), "{bases:?}");
        assert!(bases.zookeeper.starts_with("zookeeper:3."), "{bases:?}");
    }

    #[test]
    fn a_digest_knows_its_parts_apart() {
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_eq!(digest(&["a"]).len(), 16);
    }
}
