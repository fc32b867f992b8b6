//! What this machine is: architecture, C library, name.

use std::path::{Path, PathBuf};

/// Its architecture, as in the names of Rust's targets.
pub fn arch() -> &'static str {
    std::env::consts::ARCH
}

/// The version of glibc here, as `2.36`; `None` where there is another C library.
///
/// It stands in the text of the library itself, which is looked for where this process has it from, and
/// in the usual places: this process may be linked statically and its workers not.
pub fn glibc() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| {
        let path = line.get(line.find('/')?..)?;
        let name = path.rsplit('/').next()?;
        (name.starts_with("libc.so") || name.starts_with("libc-")).then(|| PathBuf::from(path))
    });
    let usual = ["/lib64/libc.so.6", "/lib/libc.so.6", "/usr/lib64/libc.so.6", "/usr/lib/libc.so.6"];
    let debian = format!("/lib/{}-linux-gnu/libc.so.6", arch());
    let usual = usual.map(PathBuf::from).into_iter().chain([PathBuf::from(debian)]);
    mapped.chain(usual).find_map(|path| version_in(&path))
}

fn version_in(library: &Path) -> Option<String> {
    const BEFORE: &[u8] = b"GNU C Library ";
    const VERSION: &[u8] = b"release version ";
    let text = std::fs::read(library).ok()?;
    let at = text.windows(BEFORE.len()).position(|window| window == BEFORE)?;
    let line = text[at..].split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let at = line.windows(VERSION.len()).position(|window| window == VERSION)?;
    let version =
        line[at + VERSION.len()..].iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let version: String = version.map(|byte| char::from(*byte)).collect();
    Some(version.trim_end_matches('.').to_owned()).filter(|version| !version.is_empty())
}

/// The name of this machine.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_out_of_the_library() {
        let directory = tempfile::tempdir().expect("a place for a file");
        let library = directory.path().join("libc.so.6");
        let text = b"\x7fELF\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright";
        std::fs::write(&library, text).expect("it can be written");
        assert_eq!(version_in(&library).as_deref(), Some("2.36"));
        std::fs::write(&library, b"\x7fELF\0musl").expect("it can be written");
        assert_eq!(version_in(&library), None);
    }

    #[test]
    fn this_machine_has_a_name() {
        assert!(!host_name().is_empty());
        assert!(glibc().is_some() || cfg!(not(target_env = "gnu")));
    }
}
