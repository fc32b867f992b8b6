//! The search of the header: topologies, components, machines, workers and errors by a part of their names.

use std::sync::Arc;

use askama::Template;
use futures_util::{StreamExt as _, stream};

use crate::app::App;
use crate::draw::Html;
use crate::draw::colour::of_topology;
use crate::pages::components::{self, Failure};
use crate::pages::{Ask, Page, Trouble, parts, supervisor, text};
use crate::view::ClusterView;

/// Of each kind so many are shown.
const SHOWN: usize = 50;
/// Topologies that are asked for their components and errors at once.
const AT_ONCE: usize = 8;

#[derive(Template)]
#[template(path = "search.html")]
struct Found<'a> {
    root: &'a str,
    q: &'a str,
    topologies: Vec<Item>,
    components: Vec<Item>,
    supervisors: Vec<Item>,
    workers: Vec<Item>,
    errors: Vec<(String, String, String, Failure)>,
    is_nothing: bool,
}

/// Something that was found.
#[derive(Debug)]
struct Item {
    link: String,
    name: String,
    about: String,
    paint: String,
    mark: Html,
}

pub(super) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let q = ask.get("q").trim();
    let mut page = Found {
        root: &ask.root,
        q,
        topologies: Vec::new(),
        components: Vec::new(),
        supervisors: Vec::new(),
        workers: Vec::new(),
        errors: Vec::new(),
        is_nothing: false,
    };
    if !q.is_empty() {
        let view = app.source.cluster().await?;
        let wanted = q.to_lowercase();
        let fits = |text: &str| text.to_lowercase().contains(&wanted);
        in_cluster(&mut page, &view, &fits);
        in_topologies(&mut page, app, &view, &fits).await;
        page.is_nothing = page.topologies.is_empty()
            && page.components.is_empty()
            && page.supervisors.is_empty()
            && page.workers.is_empty()
            && page.errors.is_empty();
    }
    let title = if q.is_empty() { "Search".to_owned() } else { format!("Search: {q}") };
    Ok(Page::still(title, &page))
}

fn in_cluster(page: &mut Found<'_>, view: &ClusterView, fits: &(dyn Fn(&str) -> bool + Sync)) {
    let found = view.topologies.iter().filter(|topology| {
        fits(&topology.name) || fits(&topology.id) || (!topology.owner.is_empty() && fits(&topology.owner))
    });
    let topology = |topology: &storm_rpc::v1::TopologySummary| Item {
        link: format!("topology/{}", text::encoded(&topology.id)),
        name: topology.name.clone(),
        about: format!(
            "{} · {}",
            topology.id,
            text::counted(topology.executors_total.into(), "executor", "executors")
        ),
        paint: of_topology(&topology.id),
        mark: parts::topology_state(topology.status()),
    };
    page.topologies = found.take(SHOWN).map(topology).collect();
    let hosts = supervisor::Hosts::new(&view.cluster);
    for supervisor in &view.cluster.supervisors {
        let name = hosts.name(supervisor).to_string();
        let link = format!("supervisor/{}", text::encoded(&supervisor.id));
        if fits(&name) || fits(&supervisor.id) {
            page.supervisors.push(Item {
                link: link.clone(),
                name,
                about: supervisor.id.clone(),
                paint: String::new(),
                mark: supervisor::summary(supervisor, &hosts).state,
            });
        }
        for slot in &supervisor.held {
            let address = format!("{}:{}", supervisor.host, slot.port);
            if fits(&address) || (slot.pid > 0 && slot.pid.to_string() == page.q) {
                page.workers.push(Item {
                    link: supervisor::worker_log(
                        &supervisor::address(supervisor),
                        &slot.topology_id,
                        slot.port,
                    ),
                    name: address,
                    about: format!("{} · pid {} · log", slot.topology_name, slot.pid),
                    paint: of_topology(&slot.topology_id),
                    mark: parts::worker_state(slot.state()),
                });
            }
        }
    }
    page.supervisors.truncate(SHOWN);
    page.workers.truncate(SHOWN);
}

async fn in_topologies(
    page: &mut Found<'_>,
    app: &App,
    view: &ClusterView,
    fits: &(dyn Fn(&str) -> bool + Sync),
) {
    let ids: Vec<String> = view.topologies.iter().map(|topology| topology.id.clone()).collect();
    let views = stream::iter(ids).map(|id| {
        let source = Arc::clone(&app.source);
        async move { source.topology(&id).await }
    });
    let mut views = views.buffered(AT_ONCE);
    // One that has just been killed is none that is looked for.
    while let Some(answer) = views.next().await {
        let Ok(topology) = answer else { continue };
        let summary = topology.summary();
        let href = text::encoded(&summary.id);
        for (id, spec) in topology.spec.components.iter().filter(|(id, _)| fits(id.as_str())) {
            if page.components.len() < SHOWN {
                let kind = if spec.kind == storm_model::ComponentKind::Spout { "spout" } else { "bolt" };
                page.components.push(Item {
                    link: format!("topology/{href}/component/{}", text::encoded(id.as_str())),
                    name: id.to_string(),
                    about: format!("{kind} of {}", summary.name),
                    paint: of_topology(&summary.id),
                    mark: Html::new(),
                });
            }
        }
        for failure in components::failures(&topology, Some(view), None) {
            if page.errors.len() < SHOWN && fits(&failure.message) {
                page.errors.push((summary.name.clone(), href.clone(), of_topology(&summary.id), failure));
            }
        }
        if page.components.len() >= SHOWN && page.errors.len() >= SHOWN {
            break;
        }
    }
    page.errors.sort_by_key(|(.., failure)| std::cmp::Reverse(failure.time_ms));
}
