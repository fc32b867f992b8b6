//! What requests are about: a topology that runs, with its parts, and the machines.

use serde_json::Value;

use crate::http::Server;

/// Names to put in for `{topology}` and the like.
#[derive(Debug)]
pub(crate) struct Places(Vec<(&'static str, String)>);

impl Places {
    /// Those of a server: of the first topology that is active and has a worker.
    pub(crate) async fn of(server: &Server) -> Places {
        let topologies = get(server, "/api/v1/topology/summary").await;
        let topologies = topologies["topologies"].as_array().expect("topologies");
        let runs =
            |topology: &&Value| topology["workersTotal"].as_u64() > Some(0) && topology["status"] == "ACTIVE";
        let topology = topologies.iter().find(runs).expect("an active topology with a worker");
        let id = text(&topology["id"]);
        let page = get(server, &format!("/api/v1/topology/{id}")).await;
        let worker = &page["workers"][0];
        let (host, port) = (text(&worker["host"]), worker["port"].to_string());
        let nimbus = &get(server, "/api/v1/nimbus/summary").await["nimbuses"][0];
        let nimbus = format!("{}%3A{}", text(&nimbus["host"]), nimbus["port"]);
        Places(vec![
            ("{nimbus}", nimbus),
            ("{name}", text(&topology["name"])),
            ("{owner}", text(&topology["owner"])),
            ("{spout}", text(&page["spouts"][0]["spoutId"])),
            ("{bolt}", text(&page["bolts"][0]["boltId"])),
            ("{supervisor}", text(&worker["supervisorId"])),
            ("{file}", format!("{id}%2F{port}%2Fworker.log")),
            ("{worker}", format!("{host}:{port}")),
            ("{authority}", server.authority().to_owned()),
            ("{topology}", id),
            ("{host}", host),
            ("{port}", port),
        ])
    }

    /// A text with what it stands for.
    pub(crate) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.ask("GET", path, Vec::new(), "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.beginning());
    serde_json::from_str(&answer.body).unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
