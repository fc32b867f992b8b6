//! What stands in the files for Docker and compose is what there is: commands, keys, ports, images. They need
//! no engine; the last test plays the demo where there is one and somebody asks for it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};
use storm_config::{Config, Origin, keys};

const COMPOSE: &str = "docker-compose.yml";
const THREE_ZOOKEEPERS: &str = "docker/three-zookeepers.yml";
const MONITORING: &str = "docker/monitoring.yml";
const FILES: [&str; 3] = [COMPOSE, THREE_ZOOKEEPERS, MONITORING];

const OURS: &str = "storm-rs:latest";
/// Services of ours that end.
const SHORT: [&str; 2] = ["secret", "cli"];

/// What both `docker compose` and `docker-compose` 1.29 know, of what we use.
const TOP_KEYS: [&str; 3] = ["services", "networks", "volumes"];
const SERVICE_KEYS: [&str; 21] = [
    "image",
    "build",
    "command",
    "hostname",
    "environment",
    "healthcheck",
    "depends_on",
    "volumes",
    "networks",
    "ports",
    "profiles",
    "deploy",
    "init",
    "restart",
    "stop_grace_period",
    "mem_limit",
    "pids_limit",
    "read_only",
    "tmpfs",
    "cap_drop",
    "security_opt",
];

/// Variables that are no keys of the configuration.
const OTHER_VARIABLES: [&str; 1] = ["RUST_LOG"];

// === The files ===

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file of YAML. The configuration's reader takes any, and keys that are not Storm's as they are.
fn yaml(path: &str) -> Map<String, Value> {
    let mut config = Config::defaults();
    config.layer_yaml_text(Path::new(path), &read(path)).unwrap_or_else(|error| panic!("{error}"));
    let is_of_file = |origin: &Origin| matches!(origin, Origin::File { .. });
    let lines = config.iter().filter(|(_, _, origin)| is_of_file(origin));
    lines.map(|(key, value, _)| (key.to_owned(), value.clone())).collect()
}

/// The services of a file by name.
fn services(path: &str) -> Map<String, Value> {
    yaml(path)["services"].as_object().unwrap().clone()
}

/// Those with our image.
fn ours() -> Vec<(String, Value)> {
    services(COMPOSE).into_iter().filter(|(_, service)| service["image"] == OURS).collect()
}

fn is_long_running(name: &str) -> bool {
    !SHORT.contains(&name)
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// The text with the defaults of its variables: `${A:-b}` is b.
fn with_defaults(text: &str) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (variable, rest) = part.split_once('}').unwrap();
        whole += variable.split_once(":-").unwrap_or_else(|| panic!("no default: {text}")).1;
        whole += rest;
    }
    whole
}

/// The environment of a service, or none.
fn environment(service: &Value) -> Vec<(String, String)> {
    let variables = service["environment"].as_object().into_iter().flatten();
    variables.map(|(name, value)| (name.clone(), with_defaults(value.as_str().unwrap()))).collect()
}

/// What the Dockerfile sets for all containers.
fn environment_of_image() -> Vec<(String, String)> {
    let dockerfile = read("Dockerfile").replace("\\\n", " ");
    let stage = dockerfile.rsplit("\nFROM ").next().unwrap();
    let lines = stage.lines().filter_map(|line| line.strip_prefix("ENV "));
    let pairs = lines.flat_map(str::split_whitespace).map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn port(key: &str) -> i64 {
    Config::defaults().get_int(key).unwrap()
}

// === The rules ===

#[test]
fn both_composes_know_every_key() {
    for path in FILES {
        let file = yaml(path);
        let is_known = |key: &str| TOP_KEYS.contains(&key) || key.starts_with("x-");
        assert!(file.keys().all(|key| is_known(key)), "{path}: {:?}", file.keys());
        for (name, service) in services(path) {
            for key in service.as_object().unwrap().keys() {
                assert!(SERVICE_KEYS.contains(&key.as_str()), "{path}: {name}: {key}");
            }
            // Compose takes 1.29's word for it, but docker-compose 1.29 has no other part of it.
            if let Some(deploy) = service["deploy"].as_object() {
                assert_eq!(deploy.keys().collect::<Vec<_>>(), ["replicas"], "{path}: {name}");
            }
        }
    }
}

#[test]
fn every_service_is_limited_restarted_and_checked() {
    for path in FILES {
        for (name, service) in services(path) {
            // Of services that another file has, a file only changes something.
            if service["image"].is_null() {
                continue;
            }
            let what = format!("{path}: {name}");
            assert_eq!(service["networks"], serde_json::json!(["storm"]), "{what}");
            assert_eq!(service["init"], true, "{what}: who reaps?");
            assert!(service["mem_limit"].is_string() && service["pids_limit"].is_i64(), "{what}");
            let restart = if is_long_running(&name) { "unless-stopped" } else { "no" };
            assert_eq!(service["restart"], restart, "{what}");
            assert_eq!(service["healthcheck"]["test"].is_array(), is_long_running(&name), "{what}");
        }
    }
    let ours = ours();
    assert_eq!(ours.len(), 6, "{ours:?}");
    for (name, service) in ours {
        if is_long_running(&name) {
            let test = texts(&service["healthcheck"]["test"]);
            assert_eq!(test[..3], ["CMD", "storm-rs", "health"], "{name}");
        }
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert!(service["build"]["context"] == ".", "{name}");
    }
    let supervisor = &services(COMPOSE)["supervisor"];
    assert_eq!(supervisor["deploy"]["replicas"], 2);
    // A volume without a name would follow a machine into another one; a name would be shared.
    assert_eq!(texts(&supervisor["volumes"]), ["secret:/etc/storm:ro"], "each has a directory of its own");
    assert!(!read("Dockerfile").contains("VOLUME"), "that would be one, too");
}

#[test]
fn commands_are_those_of_the_command_line() {
    let source = read("crates/cli/src/args.rs");
    let variants = |of: &str| {
        let text = source.split(&format!("enum {of} {{")).nth(1).and_then(|rest| rest.split("\n}").next());
        let lines = text.unwrap().lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
        lines.map(|line| kebab(line.split(['(', ',']).next().unwrap())).collect::<BTreeSet<_>>()
    };
    let (commands, parts) = (variants("Command"), variants("Part"));
    for (name, service) in ours() {
        let test = texts(&service["healthcheck"]["test"]);
        let words = [texts(&service["command"]), test.iter().skip(2).copied().collect()];
        for words in words.iter().filter(|words| !words.is_empty()) {
            assert!(
                commands.contains(words[0]),
                "{name}: there is no command '{}' in {commands:?}",
                words[0]
            );
            for word in &words[1..] {
                let is_known = match word.strip_prefix("--") {
                    Some(option) => {
                        source.contains(&format!("pub(crate) {}: bool", option.replace('-', "_")))
                    }
                    None => parts.contains(*word),
                };
                assert!(is_known, "{name}: '{word}'");
            }
        }
    }
}

/// `FooBar` is `foo-bar`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

#[test]
fn environments_are_keys_that_there_are() {
    let image = environment_of_image();
    assert!(image.len() >= 4, "{image:?}");
    let with_variables = |path| {
        services(path).into_iter().filter(|(name, _)| ours().iter().any(|(ours, _)| ours == name)).map(
            move |(name, service)| {
                let mut all = image.clone();
                all.extend(environment(&service));
                (format!("{path}: {name}"), all)
            },
        )
    };
    for path in [COMPOSE, THREE_ZOOKEEPERS] {
        for (what, variables) in with_variables.clone()(path) {
            for (variable, _) in &variables {
                let is_known =
                    keys::find_variable(variable).is_some() || OTHER_VARIABLES.contains(&variable.as_str());
                assert!(is_known, "{what}: {variable} is no key of docs/configuration.md");
            }
            let mut config = Config::defaults();
            config.layer_environment(variables).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(config.notes().is_empty(), "{what}: {:?}", config.notes());
        }
    }
    // Whoever is named is there.
    let mut config = Config::defaults();
    config.layer_environment(environment(&services(COMPOSE)["ui"])).unwrap();
    let names = [config.get_strs("nimbus.seeds"), config.get_strs("storm.zookeeper.servers")].concat();
    assert_eq!(names, ["nimbus-1", "nimbus-2", "zookeeper"]);
    assert!(names.iter().all(|name| services(COMPOSE).contains_key(*name)));
}

#[test]
fn ports_are_the_defaults() {
    let published = texts(&services(COMPOSE)["ui"]["ports"])[0].to_owned();
    assert_eq!(with_defaults(&published), format!("127.0.0.1:{0}:{0}", port("ui.port")));
    let dockerfile = read("Dockerfile");
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let exposed: BTreeSet<i64> = exposed.split(' ').map(|port| port.parse().unwrap()).collect();
    let keys =
        ["nimbus.thrift.port", "supervisor.thrift.port", "nimbus.metrics.port", "supervisor.metrics.port"];
    let mut wanted: BTreeSet<i64> = keys.into_iter().chain(["ui.port"]).map(port).collect();
    wanted.extend(Config::defaults().get_ints("supervisor.slots.ports"));
    assert_eq!(exposed, wanted);
    let scraped = &yaml("docker/prometheus.yml")["scrape_configs"][0];
    assert_eq!(scraped["job_name"], "storm");
    let nimbus = port("nimbus.metrics.port");
    let wanted =
        [format!("nimbus-1:{nimbus}"), format!("nimbus-2:{nimbus}"), format!("ui:{}", port("ui.port"))];
    assert_eq!(texts(&scraped["static_configs"][0]["targets"]), wanted);
    assert_eq!(scraped["dns_sd_configs"][0]["port"], port("supervisor.metrics.port"));
}

#[test]
fn volumes_are_declared_and_files_are_there() {
    let declared: BTreeSet<String> = FILES
        .iter()
        .flat_map(|path| yaml(path)["volumes"].as_object().unwrap().clone())
        .map(|(name, _)| name)
        .collect();
    let mut used = BTreeSet::new();
    for (_, service) in FILES.iter().flat_map(|path| services(path)) {
        for volume in texts(&service["volumes"]) {
            match volume.split_once(':') {
                Some((file, _)) if file.starts_with("./") => {
                    assert!(root().join(file).exists(), "there is no {file}");
                }
                Some((name, _)) => drop(used.insert(name.to_owned())),
                None => {}
            }
        }
    }
    assert_eq!(used, declared);
}

#[test]
fn images_are_pinned() {
    let images = FILES.iter().flat_map(|path| services(path)).filter_map(|(_, service)| {
        service["image"].as_str().map(str::to_owned).filter(|image| image != OURS)
    });
    for image in images {
        let tag = image.split_once(':').map_or("", |(_, tag)| tag);
        let numbers = tag.trim_start_matches('v').split('.').filter(|part| part.parse::<u32>().is_ok());
        assert_eq!(numbers.count(), 3, "{image}");
    }
}

#[test]
fn the_stand_in_takes_the_variables_that_are_set() {
    let start = read("docker/stand-in/zookeeper-entrypoint.sh");
    for path in [COMPOSE, THREE_ZOOKEEPERS] {
        for (name, service) in services(path).into_iter().filter(|(name, _)| name.starts_with("zookeeper")) {
            for (variable, _) in environment(&service) {
                assert!(start.contains(&format!("${{{variable}:-")), "{path}: {name}: {variable}");
            }
        }
    }
}

#[test]
fn the_dockerfile_builds_packages_that_there_are() {
    let dockerfile = read("Dockerfile");
    let builds: Vec<_> = dockerfile.lines().filter(|line| line.contains("cargo build")).collect();
    let packages = |line: &str| {
        line.split(" -p ")
            .skip(1)
            .map(|name| name.trim_matches([' ', ';', '\\']).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(builds.len(), 2);
    assert_eq!(packages(builds[0]), packages(builds[1]), "dependencies are built for what is built");
    for package in packages(builds[0]) {
        if package == "storm-cli" {
            continue;
        }
        assert!(root().join("examples").join(&package).join("Cargo.toml").exists(), "{package}");
        assert!(
            dockerfile.contains(&format!("target/release/{package}")),
            "{package} is built and left behind"
        );
    }
    assert!(!dockerfile.contains("x86_64") && !dockerfile.contains("amd64"), "no processor is preferred");
    let version = format!("ARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert!(dockerfile.contains(&version), "not of this version");
}

#[test]
fn what_the_build_needs_goes_into_it() {
    // Whatever the sources of these packages take in has to be let in, too.
    let ignored = read(".dockerignore");
    for path in ["Cargo.toml", "Cargo.lock", "crates", "examples", "proto", "xtask"] {
        assert!(ignored.lines().any(|line| line == format!("!{path}")), "{path}");
        assert!(root().join(path).exists(), "{path}");
    }
}

#[test]
fn compose_takes_the_files() {
    let programs = [&["docker", "compose"][..], &["docker-compose"]];
    let run = |program: &[&str], arguments: &[&str]| {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(arguments).current_dir(root()).output()
    };
    let is_there =
        |program: &&&[&str]| run(program, &["version"]).is_ok_and(|output| output.status.success());
    let mut any = false;
    for program in programs.iter().filter(is_there) {
        any = true;
        for more in [&[][..], &[THREE_ZOOKEEPERS], &[MONITORING], &[THREE_ZOOKEEPERS, MONITORING]] {
            let mut arguments = vec!["-f", COMPOSE];
            arguments.extend(more.iter().flat_map(|file| ["-f", *file]));
            arguments.extend(["config", "-q"]);
            let output = run(program, &arguments).unwrap();
            assert!(output.status.success(), "{program:?} {arguments:?}: {output:?}");
        }
    }
    if !any {
        println!("skipped: there is no compose");
    }
}

/// `STORM_TEST_DEMO=local` makes the images that it is built on, any other value takes what there is.
#[test]
fn the_demo_plays() {
    let Some(how) = std::env::var_os("STORM_TEST_DEMO") else {
        println!("skipped: STORM_TEST_DEMO is not set; it takes minutes, and an engine");
        return;
    };
    let engine = Command::new("docker").arg("version").output();
    if !engine.is_ok_and(|output| output.status.success()) {
        println!("skipped: no Docker engine answers");
        return;
    }
    let mut demo = Command::new(PathBuf::from(env!("CARGO_BIN_EXE_xtask")));
    demo.args(["demo", "--project", "storm-rs-demo-test"]);
    if how == "local" {
        demo.arg("--local-images");
    }
    assert!(demo.status().unwrap().success());
}
