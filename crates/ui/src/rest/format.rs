//! Values as Storm writes them, and links to logs.

use std::time::Duration;

use serde::Serialize;
use storm_figures::{Latency, Window};

use crate::pages::text::encoded_but;

/// The version of Storm whose interface this is.
pub const STORM_VERSION: &str = "2.8.8";

/// A number as Storm shows fractions: three digits after the point.
pub fn fraction(number: f64) -> String {
    format!("{number:.3}")
}

/// Milliseconds as a fraction.
pub fn millis(duration: Duration) -> String {
    fraction(duration.as_secs_f64() * 1e3)
}

/// A latency is its mean, in milliseconds.
pub fn mean(latency: &Latency) -> String {
    millis(latency.mean())
}

/// How long something has been up: `1d 2h 3m 4s`, larger units only as needed; empty for 0.
pub fn uptime(secs: u64) -> String {
    let parts = [(secs / 86_400, 'd'), (secs / 3_600 % 24, 'h'), (secs / 60 % 60, 'm'), (secs % 60, 's')];
    let parts = parts.iter().skip_while(|(count, _)| *count == 0);
    let parts: Vec<String> = parts.map(|(count, unit)| format!("{count}{unit}")).collect();
    parts.join(" ")
}

/// A text as it stands in a form or a query (Java's `URLEncoder`).
pub fn encode(text: &str) -> String {
    encoded_but(text, b".-*_ ").replace(' ', "+")
}

/// A stream's name as the ids of a page may have it: what is no letter and none of `_-:.` becomes
/// `_`, and a letter stands at the beginning.
pub fn plain_stream(stream: &str) -> String {
    let begins = stream.starts_with(|c: char| c.is_ascii_alphabetic());
    let name = stream.chars().map(|c| if c.is_ascii_alphabetic() || "_-:.".contains(c) { c } else { '_' });
    if begins { name.collect() } else { "_s".chars().chain(name).collect() }
}

/// The window that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedWindow {
    /// As it was asked for; answers repeat it.
    pub asked: String,
    /// Where the figures are from.
    pub window: Window,
}

impl AskedWindow {
    /// Any number of seconds is the shortest of Storm's windows that covers it; everything else is
    /// all time.
    pub fn new(asked: Option<&str>) -> AskedWindow {
        let asked = asked.unwrap_or_default();
        let window = asked.parse().ok().or_else(|| {
            let secs: u64 = asked.parse().ok()?;
            Window::ALL.into_iter().find(|window| window.span().is_none_or(|span| span.as_secs() >= secs))
        });
        match window {
            Some(window) => AskedWindow { asked: asked.to_owned(), window },
            None => AskedWindow { asked: Window::AllTime.key().to_owned(), window: Window::AllTime },
        }
    }

    /// What people read of the window that the figures are from.
    pub fn hint(&self) -> &'static str {
        self.window.title()
    }
}

/// Where this server is reached, for absolute links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host and port.
    pub authority: String,
    /// Path before `/api`; empty, or with a slash in front and none at the end.
    pub prefix: String,
}

impl Links {
    /// The port that this server is reached at.
    pub fn port(&self) -> u16 {
        let named = self.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        named.unwrap_or(if self.scheme == "https" { 443 } else { 80 })
    }

    /// A worker's log.
    pub fn worker_log(&self, topology_id: &str, host: &str, port: u32) -> String {
        self.worker_file(topology_id, host, port, "worker.log")
    }

    /// The tuples that a worker was told to write down.
    pub fn events_log(&self, topology_id: &str, host: &str, port: u32) -> String {
        self.worker_file(topology_id, host, port, "events.log")
    }

    /// A daemon's log: `nimbus.log` or `supervisor.log`.
    pub fn daemon_log(&self, file: &str, host: &str, port: u32) -> String {
        let host = encode(&format!("{host}:{port}"));
        format!("{}/daemonlog?file={}&host={host}", self.api(), encode(file))
    }

    /// A page about a log file with so many bytes of it in its middle, which are marked.
    pub fn log_at(&self, file: &str, host: &str, is_daemon: bool, at: u64, len: u64) -> String {
        /// Bytes of a page, as Storm has it.
        const LENGTH: u64 = 51_200;
        let page = if is_daemon { "daemonlog" } else { "log" };
        let start = at.saturating_add(len / 2).saturating_sub(LENGTH / 2);
        format!(
            "{}/{page}?file={}&host={}&start={start}&length={LENGTH}&at={at}&len={len}",
            self.api(),
            encode(file),
            encode(host)
        )
    }

    fn worker_file(&self, topology_id: &str, host: &str, port: u32, file: &str) -> String {
        let file = encode(&format!("{topology_id}/{port}/{file}"));
        format!("{}/log?file={file}&host={}", self.api(), encode(host))
    }

    fn api(&self) -> String {
        let Links { scheme, authority, prefix } = self;
        format!("{scheme}://{authority}{prefix}/api/v1")
    }
}

/// Requested and assigned memory and processor time. There is no scheduler by resources here: all of
/// it is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Storm's")]
pub struct Resources {
    pub requested_mem_on_heap: f64,
    pub requested_mem_off_heap: f64,
    pub requested_total_mem: f64,
    pub requested_cpu: f64,
    pub requested_generic_resources: String,
    pub assigned_mem_on_heap: f64,
    pub assigned_mem_off_heap: f64,
    pub assigned_total_mem: f64,
    pub assigned_cpu: f64,
    pub assigned_generic_resources: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_leave_larger_units_out() {
        let all = [0, 4, 64, 3_600, 93_784].map(uptime);
        assert_eq!(all, ["", "4s", "1m 4s", "1h 0m 0s", "1d 2h 3m 4s"]);
    }

    #[test]
    fn fractions_have_three_digits() {
        assert_eq!([0.0, 1.0, 2.0005, 0.9996].map(fraction), ["0.000", "1.000", "2.001", "1.000"]);
        assert_eq!(millis(Duration::from_micros(1_500)), "1.500");
    }

    #[test]
    fn texts_are_encoded_as_forms_are() {
        assert_eq!(encode("wc-1/6700/worker.log"), "wc-1%2F6700%2Fworker.log");
        assert_eq!(encode("[1-4] ü*_~"), "%5B1-4%5D+%C3%BC*_%7E");
    }

    #[test]
    fn streams_have_names_for_pages() {
        assert_eq!(
            ["default", "a b", "__acks", "1st"].map(plain_stream),
            ["default", "a_b", "_s__acks", "_s_st"]
        );
    }

    #[test]
    fn any_number_is_a_window() {
        let of = |asked: &str| {
            let AskedWindow { asked, window } = AskedWindow::new(Some(asked));
            (asked, window)
        };
        assert_eq!(of("600"), ("600".to_owned(), Window::TenMinutes));
        assert_eq!(of("60"), ("60".to_owned(), Window::TenMinutes));
        assert_eq!(of("601"), ("601".to_owned(), Window::ThreeHours));
        assert_eq!(of("99999999"), ("99999999".to_owned(), Window::AllTime));
        assert_eq!(of("soon"), (":all-time".to_owned(), Window::AllTime));
        assert_eq!(AskedWindow::new(None).asked, ":all-time");
    }

    #[test]
    fn links_lead_to_this_server() {
        let links = Links { scheme: "https", authority: "ui.org".to_owned(), prefix: "/storm".to_owned() };
        let link = "https://ui.org/storm/api/v1/log?file=wc-1%2F6700%2Fworker.log&host=a";
        assert_eq!((links.worker_log("wc-1", "a", 6700).as_str(), links.port()), (link, 443));
        let links = Links { scheme: "http", authority: "[::1]:8081".to_owned(), prefix: String::new() };
        let link = "http://[::1]:8081/api/v1/daemonlog?file=nimbus.log&host=a%3A6627";
        assert_eq!((links.daemon_log("nimbus.log", "a", 6627).as_str(), links.port()), (link, 8081));
    }
}
