//! Which log: by topology, by machine, or by what stands in it.

use std::sync::Arc;

use askama::Template;
use futures_util::{StreamExt as _, stream};
use storm_rpc::v1;

use crate::app::App;
use crate::draw::colour::of_topology;
use crate::draw::slots::natural;
use crate::pages::logs::{Daemon, File, daemons};
use crate::pages::parts::Num;
use crate::pages::{Ask, Page, Trouble, text};

/// Daemons that are asked at once.
pub(super) const AT_ONCE: usize = 16;

#[derive(Template)]
#[template(path = "logs.html")]
struct Logs<'a> {
    root: &'a str,
    /// The one that is asked for, by its address or its topology.
    chosen: &'a str,
    topology: &'a str,
    address: &'a str,
    topologies: Vec<(String, String, String)>,
    daemons: Vec<(Daemon, String)>,
    files: Vec<Row>,
    /// Daemons that did not answer, with the reason.
    failures: Vec<(String, String)>,
    /// Daemons that were not asked, as nobody has heard of them.
    silent: Vec<String>,
}

#[derive(Debug)]
struct Row {
    address: String,
    name: String,
    query: String,
    size: Num,
    modified: Num,
    is_daemon: bool,
}

pub(crate) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let view = app.source.cluster().await?;
    let all = daemons(&view);
    let (topology, address) = (ask.get("topology"), ask.get("address"));
    let found = view.topologies.iter().find(|summary| summary.id == topology || summary.name == topology);
    if !topology.is_empty() && found.is_none() {
        return Err(Trouble::NotFound(format!("There is no topology '{topology}'.")));
    }
    let id = found.map_or("", |summary| summary.id.as_str());
    let mut chosen: Vec<Daemon> = all
        .iter()
        .filter(|daemon| {
            let is_meant = if address.is_empty() { !id.is_empty() } else { daemon.address == address };
            // Workers' logs are the supervisors'.
            is_meant && (topology.is_empty() || daemon.role == "Supervisor")
        })
        .cloned()
        .collect();
    // One that is silent would only be waited for, unless it is meant.
    let silent: Vec<Daemon> =
        chosen.extract_if(.., |daemon| address.is_empty() && daemon.is_silent).collect();
    if !address.is_empty() && chosen.is_empty() {
        return Err(Trouble::NotFound(format!("The cluster has no daemon at '{address}'.")));
    }
    let (mut files, failures) = list(app, &chosen, id).await;
    files.sort_by(|a, b| {
        natural(&a.address).cmp(&natural(&b.address)).then_with(|| natural(&a.name).cmp(&natural(&b.name)))
    });
    let chosen =
        if topology.is_empty() { address } else { found.map_or(topology, |summary| summary.name.as_str()) };
    let mut topologies: Vec<_> =
        view.topologies.iter().map(|t| (t.name.clone(), text::encoded(&t.id), of_topology(&t.id))).collect();
    topologies.sort();
    let page = Logs {
        root: &ask.root,
        chosen,
        topology: id,
        address,
        topologies,
        daemons: all.into_iter().map(|daemon| (daemon.clone(), text::encoded(&daemon.address))).collect(),
        files,
        failures,
        silent: silent.into_iter().map(|daemon| daemon.address).collect(),
    };
    let title = if chosen.is_empty() { "Logs".to_owned() } else { format!("Logs of {chosen}") };
    Ok(Page::still(title, &page))
}

async fn list(app: &App, daemons: &[Daemon], topology: &str) -> (Vec<Row>, Vec<(String, String)>) {
    let now = std::time::SystemTime::now();
    let mut asks = Vec::new();
    for daemon in daemons {
        // A Nimbus has no workers; and with a topology its workers alone are meant.
        let kinds: &[bool] = match (daemon.role, topology) {
            ("Nimbus", _) => &[true],
            (_, "") => &[true, false],
            _ => &[false],
        };
        asks.extend(kinds.iter().map(|is_daemon| (daemon.address.clone(), *is_daemon)));
    }
    let answers = stream::iter(asks).map(|(address, is_daemon)| {
        let source = Arc::clone(&app.source);
        let place = v1::LogPlace { is_daemon, topology: topology.to_owned(), port: 0 };
        async move {
            let answer = source.list_files(&address, v1::ListFilesRequest { place: Some(place) }).await;
            (address, is_daemon, answer)
        }
    });
    let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (address, is_daemon, answer) in answers {
        match answer {
            Ok(files) => rows.extend(files.into_iter().map(|file| row(&address, is_daemon, file, now))),
            Err(error) => failures.push((address, error.message)),
        }
    }
    failures.sort();
    failures.dedup();
    (rows, failures)
}

fn row(address: &str, is_daemon: bool, file: v1::LogFile, now: std::time::SystemTime) -> Row {
    let whose = File { address: address.to_owned(), name: file.name.clone(), is_daemon };
    let modified = Num {
        text: text::ago(now, file.modified_ms),
        title: format!("{} UTC", text::moment(file.modified_ms)),
        sort: file.modified_ms as f64,
        is_bad: false,
    };
    Row {
        address: address.to_owned(),
        name: file.name,
        query: whose.query(),
        size: Num { sort: file.size as f64, text: text::bytes(file.size), ..Num::bytes(file.size) },
        modified,
        is_daemon,
    }
}
