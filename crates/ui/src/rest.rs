//! What machines read: Storm's REST interface under `/api/v1/`.
//!
//! Every dashboard, exporter and script that was written for Storm finds what it looks for: names,
//! types and forms are Storm's. What has no meaning here is there with a neutral value; what Storm
//! does not have is in fields and routes of its own. `assets/openapi.json` describes all of it.
//!
//! Modules in reading order: how values are written; what is asked; how it is answered; the answers;
//! commands; logs.

pub mod format;
mod ask;
mod jsonp;
pub mod cluster;
pub mod supervisors;
pub mod owners;
pub mod errors;
pub mod topology;
pub mod component;
pub mod metrics;
pub mod visualization;
pub mod insight;
mod actions;
mod logs;
pub mod openapi;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use serde_json::json;

use crate::app::App;
use crate::view::{ClusterView, TopologyView};
use ask::Ask;
pub(crate) use jsonp::ALLOWED_HEADERS;
use jsonp::{Failure, answer};

/// Everything under `/api/v1`.
pub fn routes() -> Router<App> {
    let served = endpoints().into_iter();
    let all = served.fold(Router::new(), |router, (_, path, handler)| router.route(path, handler));
    all.fallback(nothing_here)
}

/// Method, path and handler of everything that is served.
fn endpoints() -> Vec<(&'static str, &'static str, MethodRouter<App>)> {
    vec![
        ("get", "/cluster/configuration", get(configuration)),
        ("get", "/cluster/summary", get(cluster_summary)),
        ("get", "/cluster/slots", get(slots)),
        ("get", "/nimbus/summary", get(nimbus_summary)),
        ("get", "/history/summary", get(history)),
        ("get", "/owner-resources", get(all_owners)),
        ("get", "/owner-resources/{owner}", get(owner)),
        ("get", "/supervisor/summary", get(supervisor_summary)),
        ("get", "/supervisor", get(supervisor)),
        ("get", "/topology/summary", get(topology_summary)),
        ("get", "/topology/{id}", get(one_topology)),
        ("get", "/topology-workers/{id}", get(topology_workers)),
        ("get", "/topology/{id}/metrics", get(topology_metrics)),
        ("get", "/topology/{id}/lag", get(lag)),
        ("get", "/topology/{id}/visualization-init", get(visualization_init)),
        ("get", "/topology/{id}/visualization", get(visualization)),
        ("get", "/topology/{id}/percentiles", get(percentiles)),
        ("get", "/topology/{id}/trend", get(trend)),
        ("get", "/topology/{id}/diagnosis", get(diagnosis)),
        ("get", "/topology/{id}/component/{component}", get(one_component)),
        ("get", "/topology/{id}/logconfig", get(log_config)),
        ("post", "/topology/{id}/logconfig", post(actions::set_log_config)),
        ("post", "/topology/{id}/activate", post(actions::activate)),
        ("post", "/topology/{id}/deactivate", post(actions::deactivate)),
        ("post", "/topology/{id}/rebalance/{wait}", post(actions::rebalance)),
        ("post", "/topology/{id}/kill/{wait}", post(actions::kill)),
        ("post", "/topology/{id}/debug/{action}/{percent}", post(actions::debug)),
        (
            "post",
            "/topology/{id}/component/{component}/debug/{action}/{percent}",
            post(actions::debug_component),
        ),
        ("get", "/topology/{id}/profiling/start/{place}/{minutes}", get(actions::profiling)),
        ("get", "/topology/{id}/profiling/stop/{place}", get(actions::profiling)),
        ("get", "/topology/{id}/profiling/dumpprofile/{place}", get(actions::profiling)),
        ("get", "/topology/{id}/profiling/dumpjstack/{place}", get(actions::profiling)),
        ("get", "/topology/{id}/profiling/dumpheap/{place}", get(actions::profiling)),
        ("get", "/topology/{id}/profiling/restartworker/{place}", get(actions::restart_worker_by_get)),
        ("post", "/topology/{id}/profiling/start/{place}/{minutes}", post(actions::profiling)),
        ("post", "/topology/{id}/profiling/stop/{place}", post(actions::profiling)),
        ("post", "/topology/{id}/profiling/dumpprofile/{place}", post(actions::profiling)),
        ("post", "/topology/{id}/profiling/dumpjstack/{place}", post(actions::profiling)),
        ("post", "/topology/{id}/profiling/dumpheap/{place}", post(actions::profiling)),
        ("post", "/topology/{id}/profiling/restartworker/{place}", post(actions::restart_worker)),
        ("get", "/listLogs", get(logs::list)),
        ("get", "/searchLogs", get(logs::list)),
        ("get", "/search", get(logs::search)),
        ("get", "/deepSearch/{id}", get(logs::deep_search)),
        ("get", "/log", get(logs::log)),
        ("get", "/daemonlog", get(logs::daemon_log)),
        ("get", "/download", get(logs::download)),
        ("get", "/daemondownload", get(logs::daemon_download)),
        ("get", "/dumps/{id}/{place}", get(logs::dumps)),
        ("get", "/dumps/{id}/{place}/{file}", get(logs::dump)),
        ("get", "/openapi.json", get(openapi::description)),
    ]
}

async fn nothing_here(ask: Ask) -> Response {
    let message = "there is no such path; '/api/v1/openapi.json' describes those that there are";
    answer::<()>(&ask, Err(Failure::missing(message)))
}

async fn cluster_view(app: &App) -> Result<Arc<ClusterView>, Failure> {
    Ok(app.source.cluster().await?)
}

async fn topology_view(app: &App, topology: &str) -> Result<Arc<TopologyView>, Failure> {
    Ok(app.source.topology(topology).await?)
}

async fn configuration(State(app): State<App>, ask: Ask) -> Response {
    let config = app.source.config().await;
    answer(&ask, config.map(|config| cluster::configuration(&config)).map_err(Failure::from))
}

async fn cluster_summary(State(app): State<App>, ask: Ask) -> Response {
    let view = cluster_view(&app).await;
    answer(&ask, view.map(|view| cluster::cluster_summary(&view, &app.options, ask.user.clone())))
}

async fn slots(State(app): State<App>, ask: Ask) -> Response {
    answer(&ask, cluster_view(&app).await.map(|view| cluster::slots(&view)))
}

async fn nimbus_summary(State(app): State<App>, ask: Ask) -> Response {
    // Without the configuration those that are there are told all the same.
    let (view, config) = tokio::join!(cluster_view(&app), app.source.config());
    let config = config.unwrap_or_default();
    answer(&ask, view.map(|view| cluster::nimbus_summary(&view, &config, &ask.links)))
}

async fn history(State(app): State<App>, ask: Ask) -> Response {
    answer(&ask, cluster_view(&app).await.map(|view| cluster::history(&view)))
}

async fn all_owners(State(app): State<App>, ask: Ask) -> Response {
    answer(&ask, cluster_view(&app).await.map(|view| owners::owners(&view)))
}

async fn owner(State(app): State<App>, Path(owner): Path<String>, ask: Ask) -> Response {
    answer(&ask, cluster_view(&app).await.map(|view| owners::owner_page(&view, &owner)))
}

async fn supervisor_summary(State(app): State<App>, ask: Ask) -> Response {
    answer(&ask, cluster_view(&app).await.map(|view| supervisors::supervisor_summary(&view, &ask.links)))
}

async fn supervisor(State(app): State<App>, ask: Ask) -> Response {
    let page = cluster_view(&app).await.and_then(|view| {
        let (id, host) = (ask.parameter("id"), ask.parameter("host"));
        supervisors::supervisor_page(&view, id, host, &ask.links)
    });
    answer(&ask, page)
}

async fn topology_summary(State(app): State<App>, ask: Ask) -> Response {
    answer(&ask, cluster_view(&app).await.map(|view| topology::topology_summary(&view)))
}

async fn one_topology(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    let page = async {
        let (view, cluster) = tokio::try_join!(topology_view(&app, &id), cluster_view(&app))?;
        let (nimbuses, window) = (cluster.cluster.nimbuses.len(), ask.window());
        Ok(topology::topology_page(&view, nimbuses, &window, &app.options, ask.user.clone(), &ask.links))
    };
    answer(&ask, page.await)
}

async fn topology_workers(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| topology::topology_workers(&view, &ask.links)))
}

async fn topology_metrics(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| metrics::topology_metrics(&view, &ask.window())))
}

/// Nobody here knows what a spout has not read yet; Storm answers the same unless it is told to look.
async fn lag(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|_| json!({})))
}

async fn visualization_init(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| visualization::visualization_init(&view)))
}

async fn visualization(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    let view = topology_view(&app, &id).await;
    answer(&ask, view.map(|view| visualization::visualization(&view, &ask.window(), &ask.links)))
}

async fn percentiles(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| insight::percentiles(&view, &ask.window())))
}

async fn trend(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| insight::trend(&view)))
}

async fn diagnosis(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| insight::diagnosis(&view)))
}

async fn one_component(
    State(app): State<App>,
    Path((id, component)): Path<(String, String)>,
    ask: Ask,
) -> Response {
    let page = topology_view(&app, &id).await.and_then(|view| {
        component::component_page(&view, &component, &ask.window(), ask.user.clone(), &ask.links)
    });
    answer(&ask, page)
}

async fn log_config(State(app): State<App>, Path(id): Path<String>, ask: Ask) -> Response {
    answer(&ask, topology_view(&app, &id).await.map(|view| topology::log_config(&view)))
}

#[cfg(test)]
mod tests;
