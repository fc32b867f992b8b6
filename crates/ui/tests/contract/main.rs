//! The REST interface against its contract, which is data: requests, and what is to come back.
//!
//! `storm.json` is the interface as Storm documents it, `own.json` what is ours, `commands.json` what
//! changes something, and `exporter-*.json` what public programs ask for and read. Each file is run
//! against a made-up cluster of its own, over a real connection. With
//! `STORM_UI_CONTRACT=http://host:port` those that change nothing are run against a server that lives; it
//! needs a topology with a worker.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod http;
mod places;
mod shape;

use std::path::{Path, PathBuf};

use http::Server;
use places::Places;
use serde::Deserialize;
use serde_json::Value;
use storm_ui::seed::{Seed, SeedOptions};
use storm_ui::{App, Options};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    /// What it is about, for people.
    about: String,
    /// Where the program is that reads this, for people.
    #[serde(default)]
    repository: Option<String>,
    /// Whether it changes something: then it is never run against a cluster that lives.
    #[serde(default)]
    changes: bool,
    /// Whether the server takes commands.
    #[serde(default = "yes")]
    actions: bool,
    cases: Vec<Case>,
}

fn yes() -> bool {
    true
}

/// A request and what is to come back. `{topology}` and the like stand for what the cluster has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    get: Option<String>,
    #[serde(default)]
    post: Option<String>,
    #[serde(default)]
    body: Option<Value>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default = "ok")]
    status: u16,
    /// What has to be among the headers.
    #[serde(default)]
    answers: Vec<(String, String)>,
    /// What stands around the JSON.
    #[serde(default)]
    around: Option<(String, String)>,
    #[serde(default)]
    shape: Option<Value>,
    /// By JSON pointer: what is there, as it is.
    #[serde(default)]
    equals: serde_json::Map<String, Value>,
    /// Whether what is not in the shape is wrong.
    #[serde(default)]
    exact: bool,
}

fn ok() -> u16 {
    200
}

fn contracts() -> Vec<(PathBuf, Contract)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let contract =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, contract)
    };
    files.into_iter().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_interface_keeps_its_contracts() {
    let live = std::env::var("STORM_UI_CONTRACT").ok().map(|url| Server::at(&url));
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, contract) in contracts() {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!contract.about.is_empty(), "{file} does not say what it is about");
        let repository_is_named = contract.repository.is_some() == file.starts_with("exporter-");
        assert!(repository_is_named, "{file}: exporters name their repository");
        if contract.changes && live.is_some() {
            continue;
        }
        let server = match &live {
            Some(server) => server.clone(),
            None => serve(contract.actions).await,
        };
        let places = Places::of(&server).await;
        for case in &contract.cases {
            assert!(contract.changes || case.post.is_none(), "{file} changes something and does not say so");
            count += 1;
            let what = case.get.as_ref().or(case.post.as_ref());
            let what = what.unwrap_or_else(|| panic!("{file}: a case without 'get' and 'post'"));
            let problems = run(case, &server, &places).await;
            wrong.extend(problems.into_iter().map(|problem| format!("{file}: {what}: {problem}")));
        }
    }
    println!("{count} requests");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn serve(actions: bool) -> Server {
    let options = Options { port: 0, actions, cors_origins: vec!["*".to_owned()], ..Options::default() };
    let app = App::new(Seed::new(SeedOptions::default()), options);
    let server = storm_ui::Server::bind(&app).await.unwrap();
    let address = server.address();
    tokio::spawn(server.serve(app, std::future::pending()));
    Server::at(&format!("http://{address}"))
}

async fn run(case: &Case, server: &Server, places: &Places) -> Vec<String> {
    let (method, path) = match (&case.get, &case.post) {
        (Some(path), None) => ("GET", path),
        (None, Some(path)) => ("POST", path),
        _ => return vec!["one of 'get' and 'post'".to_owned()],
    };
    let body = case.body.as_ref().map(Value::to_string).unwrap_or_default();
    let headers = case.headers.iter().map(|(name, value)| (name.clone(), places.fill(value))).collect();
    let answer = server.ask(method, &places.fill(path), headers, &places.fill(&body)).await;
    let mut problems = Vec::new();
    if answer.status != case.status {
        problems.push(format!("status {}, not {}: {}", answer.status, case.status, answer.beginning()));
        return problems;
    }
    for (name, wanted) in &case.answers {
        let found = answer.header(name);
        let wanted = places.fill(wanted);
        if found != Some(wanted.as_str()) {
            problems.push(format!("header '{name}' is {found:?}, not '{wanted}'"));
        }
    }
    if case.shape.is_none() && case.equals.is_empty() {
        return problems;
    }
    let mut text = answer.body.as_str();
    if let Some((before, after)) = &case.around {
        let inner = text.strip_prefix(before.as_str()).and_then(|text| text.strip_suffix(after.as_str()));
        let Some(inner) = inner else {
            problems.push(format!("not within '{before}' and '{after}': {}", answer.beginning()));
            return problems;
        };
        text = inner;
    }
    let json: Value = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => return vec![format!("no JSON ({error}): {}", answer.beginning())],
    };
    if let Some(shape) = &case.shape {
        shape::check(shape, &json, "", case.exact, &mut problems);
    }
    for (pointer, wanted) in &case.equals {
        let wanted = match wanted {
            Value::String(text) => Value::String(places.fill(text)),
            other => other.clone(),
        };
        match json.pointer(pointer) {
            Some(found) if *found == wanted => {}
            found => problems.push(format!("{pointer} is {found:?}, not {wanted}")),
        }
    }
    problems
}
