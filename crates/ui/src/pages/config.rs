//! The configuration of the Nimbus that leads: keys, values, and where they come from.

use askama::Template;
use serde_json::Value;

use crate::app::App;
use crate::pages::{Ask, Page, Trouble};

#[derive(Template)]
#[template(path = "config.html")]
struct Config<'a> {
    root: &'a str,
    entries: Vec<Entry>,
    set: usize,
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) origin: String,
    /// Somebody set it.
    pub(super) is_set: bool,
}

pub(super) async fn page(app: &App, ask: &Ask) -> Result<Page, Trouble> {
    let config = app.source.config().await?;
    let mut entries: Vec<Entry> = config
        .entries
        .iter()
        .map(|entry| {
            let value = serde_json::from_slice(&entry.value).map(|value| shown(&value));
            let value = value.unwrap_or_else(|_| String::from_utf8_lossy(&entry.value).into_owned());
            let is_set = !entry.origin.is_empty() && entry.origin != "default";
            Entry { key: entry.key.clone(), value, origin: entry.origin.clone(), is_set }
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let set = entries.iter().filter(|entry| entry.is_set).count();
    Ok(Page::still("Configuration", &Config { root: &ask.root, entries, set }))
}

/// A value as people write it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
