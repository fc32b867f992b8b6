//! No key of the configuration promises what nobody does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use storm_config::keys;

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let is_table = path.ends_with("config/src/keys");
        if path.is_dir() && !is_table && !path.ends_with("tests") && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
            && !path.ends_with("config/src/keys.rs")
        {
            found.push(path);
        }
    }
}

#[test]
fn keys_that_nobody_reads_say_so() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"), &mut files);
    let code: String = files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .map(|text| text.split("#[cfg(test)]").next().unwrap().to_owned())
        .collect();
    let mut wrong = Vec::new();
    for key in keys::all().filter(|key| key.has_meaning() && !key.name.ends_with(".COMPONENT")) {
        let is_named = code.contains(&format!("\"{}\"", key.name));
        if is_named != key.is_read {
            wrong.push(format!("{}: {}", key.name, if is_named { "is read" } else { "nothing reads it" }));
        }
    }
    let mend =
        "a row of the table in crates/config/src/keys ends in .not_yet() as long as nothing reads the key";
    assert!(wrong.is_empty(), "{mend}\n{}", wrong.join("\n"));
}
