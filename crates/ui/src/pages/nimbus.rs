//! The Nimbuses: who leads, and what is wrong.

use askama::Template;

use crate::app::App;
use crate::pages::{Ask, Page, Trouble, cluster};

#[derive(Template)]
#[template(path = "nimbus.html")]
struct Nimbuses<'a> {
    root: &'a str,
    id: &'a str,
    version: &'a str,
    problems: &'a [String],
    nimbuses: Vec<cluster::Nimbus>,
}

pub(super) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let view = app.source.cluster().await?;
    let page = Nimbuses {
        root: &ask.root,
        id: &view.cluster.cluster_id,
        version: &view.cluster.version,
        problems: &view.cluster.problems,
        nimbuses: cluster::nimbuses(&view.cluster),
    };
    Ok(Page::live("Nimbus", &page))
}
