//! A cluster whose pages are looked at.

use std::fs;
use std::ops::Deref;

use serde_json::Value;

use crate::browser::Browser;
use crate::http::{self, Answer};
use crate::kit::{Cluster, Dev, wait_until};

/// A `storm-rs dev` with its pages.
pub(crate) struct Ui {
    pub(crate) dev: Dev,
    /// Where they are served.
    pub(crate) address: String,
    prefix: String,
}

impl Deref for Ui {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.dev
    }
}

impl Ui {
    pub(crate) fn start() -> Ui {
        Ui::with(&[])
    }

    /// With these settings.
    pub(crate) fn with(settings: &[&str]) -> Ui {
        let args: Vec<&str> = settings.iter().flat_map(|setting| ["-c", setting]).collect();
        let dev = Dev::with(&args);
        // It tells one line after the other, and the address is not the first.
        let mut address = String::new();
        wait_until("dev tells the address of the pages", || {
            let said = fs::read_to_string(dev.path("dev.out")).unwrap();
            let mut whole = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let line = whole.find_map(|line| line.trim().strip_prefix("ui "));
            address =
                line.and_then(|line| line.trim().strip_prefix("http://")).unwrap_or_default().to_owned();
            !address.is_empty()
        });
        let prefix = settings.iter().find_map(|setting| setting.strip_prefix("ui.path.prefix="));
        let address = address.split('/').next().unwrap().to_owned();
        Ui { dev, address, prefix: prefix.unwrap_or_default().to_owned() }
    }

    /// A browser for its pages; none where there is no browser.
    pub(crate) fn browser(&self) -> Option<Browser> {
        Browser::start(self, &format!("http://{}{}/", self.address, self.prefix))
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        http::get(&self.address, &format!("{}{path}", self.prefix))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        http::post(&self.address, &format!("{}{path}", self.prefix), headers, form)
    }

    /// Of the interface for programs.
    #[track_caller]
    pub(crate) fn rest(&self, path: &str) -> Value {
        self.get(&format!("/api/v1/{path}")).json()
    }

    /// What `list` says of a topology; null where there is none.
    pub(crate) fn listed(&self, name: &str) -> Value {
        let list = self.json(&["list"]);
        let all = list["topologies"].as_array().expect("a list of topologies");
        all.iter().find(|topology| topology["name"] == name).cloned().unwrap_or_default()
    }

    pub(crate) fn id_of(&self, name: &str) -> String {
        self.listed(name)["id"].as_str().expect("the topology has an id").to_owned()
    }

    /// Submits numbers that flow for ever: all of them tracked, some of them replayed. Until some have.
    #[track_caller]
    pub(crate) fn submit_numbers(&self) -> String {
        let out = self.path("numbers");
        let shape = ["--source", "1", "--relay1", "2", "--relay2", "2", "--sink", "1"];
        let flow = ["--out", out.to_str().unwrap(), "--count", "1000000000", "--rate", "500"];
        self.submit("at-least-once", &["-c", "topology.workers=3"], &[&flow[..], &shape].concat());
        let id = self.id_of("at-least-once");
        wait_until("numbers are acked", || {
            let page = self.rest(&format!("topology/{id}"));
            page["spouts"][0]["acked"].as_u64() > Some(0)
        });
        id
    }
}
