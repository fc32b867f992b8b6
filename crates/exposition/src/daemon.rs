//! What every daemon shows of itself.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use storm_figures::metrics;

use crate::page::Page;

/// How a daemon's session with ZooKeeper is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the states are those of the session, explained there")]
pub enum Session {
    Connecting,
    Connected,
    Suspended,
    Expired,
    Closed,
}

impl Session {
    const ALL: [Session; 5] =
        [Session::Connecting, Session::Connected, Session::Suspended, Session::Expired, Session::Closed];

    const fn word(self) -> &'static str {
        match self {
            Session::Connecting => "connecting",
            Session::Connected => "connected",
            Session::Suspended => "suspended",
            Session::Expired => "expired",
            Session::Closed => "closed",
        }
    }
}

impl Page {
    /// Adds how long a daemon has been up, and what its process uses.
    pub fn daemon(&mut self, daemon: &str, uptime: Duration) {
        self.number(&metrics::DAEMON_UPTIME, &[daemon], uptime.as_secs_f64());
        self.process();
    }

    /// Adds how its session is.
    pub fn session(&mut self, daemon: &str, session: Session) {
        for state in Session::ALL {
            let is_it = f64::from(u8::from(state == session));
            self.number(&metrics::SESSION, &[daemon, state.word()], is_it);
        }
    }
}

/// Counts requests.
#[derive(Debug, Default)]
pub struct Requests {
    counts: Mutex<BTreeMap<(String, u16), u64>>,
}

impl Requests {
    /// Counts one. The route is a pattern, as `/topology/{id}`, and not what was asked for: there is a
    /// line for each on the page for ever.
    pub fn note(&self, route: &str, code: u16) {
        let mut counts = self.counts.lock().expect("never panics while it holds the lock");
        match counts.get_mut(&(route.to_owned(), code)) {
            Some(count) => *count += 1,
            None => {
                counts.insert((route.to_owned(), code), 1);
            }
        }
    }

    /// Adds them to a page.
    pub fn show(&self, page: &mut Page) {
        let counts = self.counts.lock().expect("never panics while it holds the lock");
        for ((route, code), count) in &*counts {
            page.count(&metrics::UI_REQUESTS, &[route, &code.to_string()], *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Format;

    #[test]
    fn one_state_of_a_session_is_true() {
        let mut page = Page::default();
        page.session("nimbus", Session::Suspended);
        let text = page.text(Format::Plain);
        let truths: Vec<_> = text.lines().filter(|line| line.ends_with(" 1.0")).collect();
        assert_eq!(truths, [r#"storm_zookeeper_sessions{daemon="nimbus",state="suspended"} 1.0"#]);
        assert_eq!(text.lines().filter(|line| line.ends_with(" 0.0")).count(), 4);
    }

    #[test]
    fn requests_are_counted_by_route_and_code() {
        let requests = Requests::default();
        for (route, code) in [("/a", 200), ("/a", 404), ("/a", 200)] {
            requests.note(route, code);
        }
        let mut page = Page::default();
        requests.show(&mut page);
        let text = page.text(Format::Plain);
        assert!(text.contains(r#"storm_ui_requests_total{route="/a",code="200"} 2"#), "{text}");
        assert!(text.contains(r#"storm_ui_requests_total{route="/a",code="404"} 1"#), "{text}");
    }
}
