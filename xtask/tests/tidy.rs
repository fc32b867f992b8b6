//! The rules that this repository keeps and no compiler checks. Each failure names the place, the
//! rule and what to do.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::fs;
use std::path::{Path, PathBuf};

/// The layers: row, package and which of ours it may use. What it uses lies in a lower row.
const LAYERS: &[(u8, &str, &[&str])] = &[
    (0, "storm-model", &[]),
    (0, "storm-config", &[]),
    (0, "storm-rs-derive", &[]),
    (0, "storm-dev-zookeeper", &[]),
    (1, "storm-row", &["storm-model"]),
    (1, "storm-figures", &["storm-model"]),
    (1, "storm-scheduler", &["storm-model"]),
    (1, "storm-messaging", &["storm-model"]),
    (1, "storm-rpc", &["storm-model"]),
    (1, "storm-cluster", &["storm-model", "storm-dev-zookeeper"]),
    (2, "storm-topology", &["storm-model", "storm-row", "storm-figures"]),
    (2, "storm-logs", &["storm-rpc"]),
    (2, "storm-exposition", &["storm-model", "storm-figures"]),
    (3, "storm-nimbus", NIMBUS),
    (3, "storm-supervisor", SUPERVISOR),
    (3, "storm-ui", UI),
    (3, "storm-engine", &["storm-model", "storm-row", "storm-figures", "storm-topology"]),
    (4, "storm-worker", WORKER),
    (4, "storm-cli", CLI),
    (5, "storm-rs", FACADE),
    (6, "xtask", &["storm-config", "storm-figures"]),
    (6, "bounded-input", &["storm-rs"]),
    (7, "storm-bench", &["storm-model", "storm-messaging", "storm-rs"]),
    (8, "storm-bench-timely", &["storm-bench"]),
];
const NIMBUS: &[&str] = &[
    "storm-model",
    "storm-config",
    "storm-figures",
    "storm-scheduler",
    "storm-rpc",
    "storm-cluster",
    "storm-dev-zookeeper",
    "storm-logs",
    "storm-exposition",
];
const SUPERVISOR: &[&str] = &[
    "storm-model",
    "storm-config",
    "storm-figures",
    "storm-rpc",
    "storm-cluster",
    "storm-dev-zookeeper",
    "storm-logs",
    "storm-exposition",
];
const UI: &[&str] = &["storm-model", "storm-config", "storm-figures", "storm-rpc", "storm-exposition"];
const WORKER: &[&str] = &[
    "storm-model",
    "storm-figures",
    "storm-messaging",
    "storm-rpc",
    "storm-topology",
    "storm-logs",
    "storm-engine",
];
const CLI: &[&str] = &[
    "storm-model",
    "storm-config",
    "storm-dev-zookeeper",
    "storm-cluster",
    "storm-rpc",
    "storm-logs",
    "storm-nimbus",
    "storm-supervisor",
    "storm-ui",
];
const FACADE: &[&str] = &[
    "storm-model",
    "storm-config",
    "storm-rs-derive",
    "storm-row",
    "storm-figures",
    "storm-topology",
    "storm-engine",
    "storm-rpc",
    "storm-worker",
];
/// What holds for the packages of `examples/` that the table does not list.
const EXAMPLE: (u8, &[&str]) = (7, &["storm-rs", "bounded-input"]);

/// Crates whose code takes time, randomness and the outside world as arguments.
const PURE_CRATES: &[&str] = &[
    "crates/model/",
    "crates/row/",
    "crates/figures/",
    "crates/scheduler/",
    "crates/topology/",
    "crates/engine/",
];
/// Files of pure crates that are shells around the pure code: threads, a clock, their start and end.
const SHELLS: &[&str] = &[
    "crates/engine/src/clock.rs",
    "crates/engine/src/executor_thread.rs",
    "crates/engine/src/run.rs",
    // Threads of a model, each interleaving in turn.
    "crates/engine/src/loom_tests.rs",
];
/// What pure code does not name.
const IMPURE: &[&str] = &[
    "thread::spawn",
    "thread::sleep",
    "thread::Builder",
    "std::net",
    "std::fs",
    "Instant::now",
    "SystemTime::now",
    "rand::rng()",
    "tokio",
];

/// Libraries that one file alone names, so that they can be exchanged.
const WRAPPED: &[(&str, &str)] =
    &[("bincode", "crates/row/src/opaque.rs"), ("crossbeam_channel", "crates/engine/src/lanes.rs")];
/// Files that may name them nevertheless: what the engine is measured against uses the same queues.
const WRAPPED_EXEMPT: &[&str] = &["crates/bench/src/naive.rs"];

/// What is never left behind; in parts, so that this file keeps its own rule.
const LEFTOVERS: &[&str] =
    &[concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];

const LINE_MAX: usize = 120;
/// For lines with a string, which rustfmt does not break.
const STRING_LINE_MAX: usize = 160;

const EXAMPLES_WITHOUT_TESTS: &[&str] = &["bounded-input"];

// === The rules ===

#[test]
fn dependencies_lead_to_lower_layers() {
    let mut broken = Broken::new("move the code down, or change LAYERS in xtask/tests/tidy.rs");
    let manifests: Vec<Manifest> = files(|path| path.ends_with("/Cargo.toml")).map(Manifest::parse).collect();
    let layer = |name: &str| LAYERS.iter().find(|(_, listed, _)| *listed == name);
    for Manifest { file, name, dependencies } in &manifests {
        let (row, allowed) = match layer(name) {
            Some((row, _, allowed)) => (*row, *allowed),
            None if file.path.starts_with("examples/") => EXAMPLE,
            None => {
                broken.add(file, 1, format_args!("package '{name}' has no layer"));
                continue;
            }
        };
        for used in dependencies.iter().filter(|used| manifests.iter().any(|ours| ours.name == **used)) {
            let is_lower = layer(used).is_some_and(|(used_row, ..)| *used_row < row);
            if !is_lower || !allowed.contains(&&**used) {
                let place = file.lines().find(|(_, text)| text.starts_with(used));
                let line = place.map_or(1, |(line, _)| line);
                broken.add(file, line, format_args!("'{name}' may not use '{used}'"));
            }
        }
    }
    broken.report();
}

#[test]
fn every_source_file_says_what_it_is() {
    let mut broken = Broken::new("start it with a `//!` sentence: what the file holds");
    for file in rust_files().filter(|file| !file.is_test()) {
        if !file.text.starts_with("//!") {
            broken.add(&file, 1, "no `//!` in the first line");
        }
    }
    broken.report();
}

#[test]
fn pure_crates_are_pure() {
    let mut broken =
        Broken::new("take it as an argument, or move it into a shell (SHELLS in xtask/tests/tidy.rs)");
    let is_pure =
        |path: &str| PURE_CRATES.iter().any(|pure| path.starts_with(pure)) && !SHELLS.contains(&path);
    for file in rust_files().filter(|file| is_pure(&file.path) && !file.is_test()) {
        for (line, code) in file.code() {
            for name in IMPURE.iter().filter(|name| code.contains(**name)) {
                broken.add(&file, line, format_args!("`{name}` in a pure crate"));
            }
        }
    }
    broken.report();
}

#[test]
fn wrapped_libraries_are_named_in_one_file() {
    let mut broken = Broken::new("use what that file offers, or add to it what is missing");
    let is_exempt = |path: &str| path == "xtask/tests/tidy.rs" || WRAPPED_EXEMPT.contains(&path);
    for file in rust_files().filter(|file| !is_exempt(&file.path)) {
        for (line, code) in file.code() {
            for (library, home) in WRAPPED.iter().filter(|(_, home)| file.path != *home) {
                if code.contains(library) {
                    broken.add(&file, line, format_args!("`{library}` belongs in {home} alone"));
                }
            }
        }
    }
    broken.report();
}

#[test]
fn nothing_is_left_behind() {
    let mut broken = Broken::new("do it now, or open an issue and drop it here");
    for file in rust_files() {
        if file.path.ends_with("/mod.rs") {
            broken.add(&file, 1, "a `mod.rs`: name the file after its module, beside the directory");
        }
        for (line, text) in file.lines() {
            for leftover in LEFTOVERS.iter().filter(|leftover| text.contains(**leftover)) {
                broken.add(&file, line, format_args!("`{leftover}`"));
            }
        }
    }
    broken.report();
}

#[test]
fn lines_fit_on_a_screen() {
    let mut broken = Broken::new("break the line, or say it shorter");
    for file in rust_files() {
        let mut in_snapshot = false;
        for (line, text) in file.lines() {
            in_snapshot |= text.contains("expect![[");
            let max = if text.contains('"') { STRING_LINE_MAX } else { LINE_MAX };
            let length = text.chars().count();
            if length > max && !in_snapshot {
                broken.add(&file, line, format_args!("{length} characters, {max} are allowed"));
            }
            in_snapshot &= !text.contains("]]");
        }
    }
    broken.report();
}

#[test]
fn every_example_is_explained_and_tested() {
    let mut broken = Broken::new("write what is missing; the examples are the first thing that people read");
    let readme = read("README.md");
    for manifest in files(|path| path.starts_with("examples/") && path.ends_with("/Cargo.toml")) {
        let directory = manifest.path.trim_end_matches("/Cargo.toml");
        let name = directory.trim_start_matches("examples/");
        let has = |file: &str| root().join(directory).join(file).exists();
        if !has("README.md") {
            broken.add(&manifest, 1, format_args!("no {directory}/README.md"));
        }
        if !has("tests") && !EXAMPLES_WITHOUT_TESTS.contains(&name) {
            broken.add(&manifest, 1, format_args!("no {directory}/tests/"));
        }
        if !readme.text.contains(name) {
            broken.add(&readme, 1, format_args!("does not name the example '{name}'"));
        }
    }
    broken.report();
}

#[test]
fn the_configuration_page_follows_the_table() {
    check_page("docs/configuration.md", &storm_config::docs(), "crates/config/src/keys.rs");
}

#[test]
fn the_metrics_page_follows_the_table() {
    check_page("docs/metrics.md", &storm_figures::metrics::docs(), "crates/figures/src/metrics.rs");
}

fn check_page(page: &str, wanted: &str, table: &str) {
    let mut broken = Broken::new("run `cargo xtask docs`");
    let page = read(page);
    if page.text != wanted {
        let same = page.text.lines().zip(wanted.lines()).take_while(|(line, wanted)| line == wanted);
        broken.add(&page, same.count() + 1, format_args!("differs from the table in {table}"));
    }
    broken.report();
}

#[test]
fn links_lead_somewhere() {
    let mut broken =
        Broken::new("mend the path: links start from the file, paths in backticks from the root");
    let at_the_root = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(read);
    let below = files(|path| path.ends_with(".md"));
    for page in at_the_root.into_iter().chain(below) {
        let path = root().join(&page.path);
        let directory = path.parent().expect("a file lies in a directory");
        if !path.exists() {
            broken.add(&page, 1, "is missing");
        }
        for (line, text) in page.lines() {
            let linked = links(text).filter(|link| !directory.join(link).exists());
            let quoted = quoted_paths(text).filter(|path| !root().join(path).exists());
            for target in linked.chain(quoted) {
                broken.add(&page, line, format_args!("there is no '{target}'"));
            }
        }
    }
    broken.report();
}

// === What they are made of ===

/// The places where a rule is broken.
struct Broken {
    advice: &'static str,
    places: String,
}

impl Broken {
    fn new(advice: &'static str) -> Broken {
        Broken { advice, places: String::new() }
    }

    fn add(&mut self, file: &File, line: usize, what: impl Display) {
        writeln!(self.places, "{}:{line}: {what}", file.path).expect("a string takes everything");
    }

    #[track_caller]
    fn report(self) {
        assert!(self.places.is_empty(), "\n{}what to do: {}\n", self.places, self.advice);
    }
}

/// A file with its path from the root; empty if it is missing.
struct File {
    path: String,
    text: String,
}

impl File {
    /// Lines with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    /// Lines without comments, up to the tests at the end of the file.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        (1..).zip(code.lines().map(|line| line.split("//").next().unwrap_or_default()))
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}

fn read(path: &str) -> File {
    File { path: path.to_owned(), text: fs::read_to_string(root().join(path)).unwrap_or_default() }
}

fn rust_files() -> impl Iterator<Item = File> {
    files(|path| path.ends_with(".rs"))
}

/// The files in the directories below the root whose path fits, in order.
fn files(fits: impl Fn(&str) -> bool) -> impl Iterator<Item = File> {
    let mut paths = BTreeSet::new();
    for directory in ["crates", "docs", "examples", "xtask"] {
        walk(&root().join(directory), &mut paths);
    }
    let from_root = |path: PathBuf| Some(path.strip_prefix(root()).ok()?.to_str()?.to_owned());
    let fitting: Vec<String> = paths.into_iter().filter_map(from_root).filter(|path| fits(path)).collect();
    fitting.into_iter().map(|path| read(&path))
}

fn walk(directory: &Path, paths: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if !path.is_dir() {
            paths.insert(path);
        } else if !path.ends_with("target") {
            walk(&path, paths);
        }
    }
}

struct Manifest {
    file: File,
    name: String,
    /// What the package needs, its tests apart.
    dependencies: BTreeSet<String>,
}

impl Manifest {
    fn parse(file: File) -> Manifest {
        let table: toml::Table = file.text.parse().expect("cargo has read this manifest");
        let name = table["package"]["name"].as_str().expect("cargo has read this manifest").to_owned();
        let targets = table.get("target").and_then(toml::Value::as_table);
        let of_targets = targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
        let dependencies = [&table]
            .into_iter()
            .chain(of_targets)
            .flat_map(|table| [table.get("dependencies"), table.get("build-dependencies")])
            .filter_map(|section| section?.as_table())
            .flat_map(|section| section.keys().cloned())
            .collect();
        Manifest { file, name, dependencies }
    }
}

/// The files that links in a line of Markdown lead to.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

/// Paths from the root that stand in backticks.
fn quoted_paths(line: &str) -> impl Iterator<Item = &str> {
    let is_path = |text: &&str| {
        ["crates/", "docs/", "examples/", "xtask/"].iter().any(|directory| text.starts_with(directory))
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.".contains(c))
    };
    line.split('`').skip(1).step_by(2).filter(is_path)
}

#[test]
fn links_and_paths_are_found() {
    let line = "[a](docs/a.md#part), [b](https://b/c), `crates/row/src/key.rs`, `crates/*/src`, [d](#d)";
    assert_eq!(links(line).collect::<Vec<_>>(), ["docs/a.md"]);
    assert_eq!(quoted_paths(line).collect::<Vec<_>>(), ["crates/row/src/key.rs"]);
}

#[test]
fn code_is_what_is_no_comment_and_no_test() {
    let text = "//! a\nuse b; // c\n#[cfg(test)]\nmod tests {\n    use d;\n}\n".to_owned();
    let file = File { path: String::new(), text };
    assert_eq!(file.code().collect::<Vec<_>>(), [(1, ""), (2, "use b; ")]);
}

#[test]
fn dev_dependencies_are_exempt() {
    let text = "[package]\nname = 'x'\n[dependencies]\na = '1'\n[dev-dependencies]\nb = '1'\n\
                [target.'cfg(unix)'.dependencies]\nc = '1'\n";
    let manifest = Manifest::parse(File { path: String::new(), text: text.to_owned() });
    assert_eq!(manifest.dependencies.into_iter().collect::<Vec<_>>(), ["a", "c"]);
}
