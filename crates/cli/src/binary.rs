//! Topology binaries: what their ELF header says, and what they say of themselves.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, ReadCache, ReadRef};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use storm_model::TopologySpec;
use storm_rpc::CallError;
use storm_rpc::launch::{CONTRACT, MODE_VARIABLE};
use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;

/// File that a binary in describe mode writes to.
const DESCRIBE_OUT_VARIABLE: &str = "STORM_RS_DESCRIBE_OUT";
/// File with [`Layers`] that it reads.
const DESCRIBE_CONF_VARIABLE: &str = "STORM_RS_DESCRIBE_CONF";
/// A topology is built in milliseconds; whatever takes longer waits for something.
const DESCRIBE_WITHIN: Duration = Duration::from_secs(20);
/// Bytes of what a binary wrote to stderr that are told when it fails.
const STDERR_TOLD: usize = 2000;
/// After its end stderr is read for so long: a child that it left behind may hold the pipe open.
const STDERR_WITHIN: Duration = Duration::from_millis(200);
/// A description is no larger than what Nimbus takes.
const DESCRIPTION_BYTES: u64 = 64 << 20;

// === What a binary says of itself ===

/// What a topology binary says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    /// Version of the contract between binaries and daemons.
    pub(crate) contract: u32,
    /// Version of storm-rs that it was built with.
    pub(crate) engine_version: String,
    /// Name that its code gives the topology.
    pub(crate) name: String,
    /// Architecture that it was built for.
    pub(crate) target_arch: String,
    /// Whether it is a debug build.
    pub(crate) is_debug_build: bool,
    /// Components, streams, groupings, parallelism, configuration.
    pub(crate) spec: TopologySpec,
    /// Configuration above the code's, of the layers that it was given.
    #[serde(default)]
    pub(crate) config: Map<String, Value>,
}

/// Configuration from outside for a topology.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Layers {
    /// Below its code.
    pub(crate) below: Map<String, Value>,
    /// Above its code.
    pub(crate) above: Map<String, Value>,
}

/// A process and all that it started, which ends when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nothing is left of most.
            killpg(group, Signal::SIGKILL).ok();
        }
    }
}

/// Asks a binary for its topology with this configuration. It runs here, with these arguments; what it writes
/// to stdout is dropped.
pub(crate) async fn describe(
    path: &Path,
    arguments: &[String],
    layers: &Layers,
) -> Result<Description, CallError> {
    let shown = path.display();
    let failed = |what: &str, error: std::io::Error| CallError::other(format!("cannot {what}: {error}"));
    let directory = tempfile::tempdir().map_err(|error| failed("make a temporary directory", error))?;
    let [out, conf] = ["description.json", "conf.json"].map(|name| directory.path().join(name));
    write_layers(&conf, layers).map_err(|error| failed("write a temporary file", error))?;
    let mut command = tokio::process::Command::new(program(path));
    command.args(arguments).env(MODE_VARIABLE, "describe").env(DESCRIBE_OUT_VARIABLE, &out);
    command.env(DESCRIBE_CONF_VARIABLE, &conf);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| {
        CallError::invalid(format!("cannot run {shown}: {error}"))
            .advise(format!("it must run on this machine, too; is it executable (`chmod +x {shown}`)?"))
    })?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let mut told = Vec::new();
    let stderr = child.stderr.take();
    let ended = {
        let reading = read_tail(stderr, &mut told);
        tokio::pin!(reading);
        let waiting = async {
            tokio::select! {
                ended = child.wait() => {
                    tokio::time::timeout(STDERR_WITHIN, &mut reading).await.ok();
                    ended
                }
                () = &mut reading => child.wait().await,
            }
        };
        tokio::time::timeout(DESCRIBE_WITHIN, waiting).await
    };
    drop(group);
    let Ok(ended) = ended else {
        child.wait().await.ok();
        let limit = DESCRIBE_WITHIN.as_secs();
        return Err(CallError::invalid(format!("{shown} did not describe its topology within {limit} s"))
            .advise(
                "`main` must call `storm_rs::run` at once: what takes long belongs in `open` and `prepare`",
            ));
    };
    let status = ended.map_err(|error| failed("wait for the topology's binary", error))?;
    if !status.success() {
        return Err(failed_to_describe(path, status, String::from_utf8_lossy(&told).trim()));
    }
    let mut json = Vec::new();
    let read = File::open(&out).and_then(|file| file.take(DESCRIPTION_BYTES).read_to_end(&mut json));
    read.map_err(|_| {
        CallError::invalid(format!("{shown} ended without describing a topology"))
            .advise("a topology's `main` calls `storm_rs::run`; is this the right binary?")
    })?;
    let mut description = read_description(path, &json)?;
    if !has_config(&json) {
        // It was built before binaries read their configuration: its code is below all that was given.
        description.config.clone_from(&layers.above);
    }
    Ok(description)
}

/// It may hold secrets of the user, and is for the user alone.
fn write_layers(path: &Path, layers: &Layers) -> std::io::Result<()> {
    let json = serde_json::to_vec(layers).expect("plain data with text keys");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    std::io::Write::write_all(&mut file, &json)
}

fn has_config(json: &[u8]) -> bool {
    let json: Value = serde_json::from_slice(json).unwrap_or_default();
    json.get("config").is_some()
}

/// Reads to the end, and keeps the last part.
async fn read_tail(pipe: Option<ChildStderr>, told: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        told.extend_from_slice(&buffer[..read]);
        let too_many = told.len().saturating_sub(STDERR_TOLD);
        told.drain(..too_many);
    }
}

fn failed_to_describe(path: &Path, status: ExitStatus, told: &str) -> CallError {
    let told = if told.is_empty() { String::new() } else { format!(":\n{told}") };
    let advice = if told.contains("Usage:") || told.contains("--help") {
        "arguments of the topology's program stand after `--`"
    } else {
        "it runs here with the same arguments as on the cluster, to say what its topology is"
    };
    let message = format!("{} could not describe its topology ({status}){told}", path.display());
    CallError::invalid(message).advise(advice)
}

fn read_description(path: &Path, json: &[u8]) -> Result<Description, CallError> {
    let shown = path.display();
    let rebuild = "build it with a version of storm-rs that fits this cluster";
    // Before the rest: of another contract nothing else is known.
    let contract: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    let contract = contract.get("contract").and_then(serde_json::Value::as_u64);
    if contract.is_some_and(|contract| contract > u64::from(CONTRACT)) {
        let message =
            format!("{shown} speaks contract {}, we speak {CONTRACT}", contract.unwrap_or_default());
        return Err(CallError::invalid(message).advise(rebuild));
    }
    serde_json::from_slice(json).map_err(|error| {
        CallError::invalid(format!("{shown} describes its topology in a way that is not understood: {error}"))
            .advise(rebuild)
    })
}

/// A bare name is a file here, not a program of the search path.
fn program(path: &Path) -> PathBuf {
    if path.components().count() == 1 { Path::new(".").join(path) } else { path.to_owned() }
}

// === What its header says ===

/// What a binary needs of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Architecture, as Rust calls it.
    pub(crate) arch: String,
    /// Newest version of glibc that it asks for, as "2.34"; empty: none.
    pub(crate) glibc: String,
}

/// Reads what a binary needs; refuses what is no Linux program.
pub(crate) fn needs(path: &Path) -> Result<Needs, CallError> {
    let shown = path.display();
    let mut file =
        File::open(path).map_err(|error| CallError::invalid(format!("cannot read {shown}: {error}")))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(
            CallError::invalid(format!("{shown} is a directory")).advise("name the topology's binary in it")
        );
    }
    let mut magic = Vec::new();
    let read = file.by_ref().take(8).read_to_end(&mut magic);
    read.map_err(|error| CallError::invalid(format!("cannot read {shown}: {error}")))?;
    if let Some(what) = not_elf(&magic) {
        return Err(CallError::invalid(format!("{shown} is {what}, not a Linux program (ELF)"))
            .advise("name the binary that cargo builds for Linux, for example target/release/word-count"));
    }
    let cache = ReadCache::new(file);
    let is_64 = magic.get(4) == Some(&elf::ELFCLASS64);
    let needs = if is_64 {
        of_header::<FileHeader64<Endianness>, _>(&cache)
    } else {
        of_header::<FileHeader32<Endianness>, _>(&cache)
    };
    needs.map_err(|reason| CallError::invalid(format!("{shown} {reason}")))
}

/// What a file is that is no ELF.
fn not_elf(magic: &[u8]) -> Option<&'static str> {
    const MACH_O: [&[u8]; 3] = [b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe"];
    if magic.starts_with(b"\x7fELF") {
        None
    } else if magic.is_empty() {
        Some("empty")
    } else if magic.starts_with(b"#!") {
        Some("a script")
    } else if magic.starts_with(b"PK\x03\x04") {
        Some("a jar or another archive")
    } else if magic.starts_with(b"MZ") {
        Some("a Windows program")
    } else if MACH_O.iter().any(|mach_o| magic.starts_with(mach_o)) {
        Some("a macOS program")
    } else {
        Some("a file of another kind")
    }
}

fn of_header<'data, Elf, R>(data: R) -> Result<Needs, String>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let broken = |error: object::read::Error| format!("is a damaged ELF file: {error}");
    let header = Elf::parse(data).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let kind = header.e_type(endian);
    if kind != elf::ET_EXEC && kind != elf::ET_DYN {
        return Err("is not a program that can be run (an object file or a core dump)".to_owned());
    }
    let mut newest: Vec<u32> = Vec::new();
    let sections = header.sections(endian, data).map_err(broken)?;
    if let Some((mut libraries, link)) = sections.gnu_verneed(endian, data).map_err(broken)? {
        let strings = sections.strings(endian, data, link).map_err(broken)?;
        while let Some((_, mut versions)) = libraries.next().map_err(broken)? {
            while let Some(version) = versions.next().map_err(broken)? {
                let name = version.name(endian, strings).map_err(broken)?;
                newest = newest.max(glibc_version(name).unwrap_or_default());
            }
        }
    }
    let glibc = newest.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
    Ok(Needs { arch: arch_name(header.e_machine(endian), header.is_type_64()), glibc })
}

/// The numbers of `GLIBC_2.34`; `None` for names of other libraries, and for `GLIBC_PRIVATE`.
fn glibc_version(name: &[u8]) -> Option<Vec<u32>> {
    let name = std::str::from_utf8(name).ok()?;
    if name == "GLIBC_ABI_DT_RELR" {
        // The linker's way to ask for a loader that knows packed relocations.
        return Some(vec![2, 36]);
    }
    version_numbers(name.strip_prefix("GLIBC_")?)
}

fn version_numbers(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

/// Whether a machine with glibc `has` runs what asks for `needs`; what is not known does not hinder.
pub(crate) fn is_glibc_enough(has: &str, needs: &str) -> bool {
    match (version_numbers(has), version_numbers(needs)) {
        (Some(has), Some(needs)) => has >= needs,
        _ => true,
    }
}

/// Rust's name of an architecture.
fn arch_name(machine: u16, is_64: bool) -> String {
    let name = match (machine, is_64) {
        (elf::EM_X86_64, _) => "x86_64",
        (elf::EM_AARCH64, _) => "aarch64",
        (elf::EM_386, _) => "x86",
        (elf::EM_ARM, _) => "arm",
        (elf::EM_RISCV, true) => "riscv64",
        (elf::EM_RISCV, false) => "riscv32",
        (elf::EM_PPC64, _) => "powerpc64",
        (elf::EM_S390, _) => "s390x",
        (elf::EM_LOONGARCH, _) => "loongarch64",
        _ => return format!("ELF machine {machine}"),
    };
    name.to_owned()
}

/// Refuses a binary that this machine cannot run: then it cannot describe itself.
pub(crate) fn check_runs_here(path: &Path, needs: &Needs) -> Result<(), CallError> {
    let here = std::env::consts::ARCH;
    if needs.arch == here {
        return Ok(());
    }
    let message = format!("{} is built for {}, this machine is {here}", path.display(), needs.arch);
    Err(CallError::invalid(message).advise(
        "a topology describes itself where it is submitted: build it for this machine, or submit it on one of its kind",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content: &[u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, content).unwrap();
        needs(&path).unwrap_err().message.replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn this_program_needs_what_it_was_built_for() {
        let needs = needs(&std::env::current_exe().unwrap()).unwrap();
        assert_eq!(needs.arch, std::env::consts::ARCH);
        if cfg!(target_env = "gnu") {
            assert!(needs.glibc.starts_with("2."), "{needs:?}");
        }
        check_runs_here(Path::new("x"), &needs).unwrap();
    }

    #[test]
    fn other_files_are_refused_by_what_they_are() {
        assert_eq!(refusal(b"#!/bin/sh\n"), "FILE is a script, not a Linux program (ELF)");
        assert_eq!(refusal(b"PK\x03\x04"), "FILE is a jar or another archive, not a Linux program (ELF)");
        assert_eq!(refusal(b""), "FILE is empty, not a Linux program (ELF)");
        assert!(refusal(b"\x7fELF\x02\x01\x01").starts_with("FILE is a damaged ELF file: "));
        let error = needs(Path::new("no/such/file")).unwrap_err();
        assert!(error.message.starts_with("cannot read no/such/file: "), "{error}");
    }

    #[test]
    fn a_damaged_binary_is_refused_and_never_a_panic() {
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        for length in [5, 20, 63, 64, 100, 4096] {
            std::fs::write(&path, &whole[..length]).unwrap();
            needs(&path).unwrap_err();
        }
    }

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_glibc_enough("2.36", "2.4") && is_glibc_enough("2.36", "2.36"));
        assert!(!is_glibc_enough("2.28", "2.34") && !is_glibc_enough("2.2", "2.2.5"));
        assert!(is_glibc_enough("", "2.34") && is_glibc_enough("2.28", ""));
        assert_eq!(glibc_version(b"GLIBC_2.2.5"), Some(vec![2, 2, 5]));
        assert_eq!(glibc_version(b"GLIBC_PRIVATE"), None);
        assert_eq!(glibc_version(b"GCC_3.0"), None);
    }

    #[test]
    fn a_newer_contract_is_named() {
        let error = read_description(Path::new("x"), br#"{"contract": 9, "other": 1}"#).unwrap_err();
        assert_eq!(error.message, "x speaks contract 9, we speak 1");
    }
}
