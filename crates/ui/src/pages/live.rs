//! Pages that change while people look at them: the server renders what they see every two seconds,
//! and sends it when it is another. While Nimbus does not answer it says so instead, and since when:
//! what people see stays, and is marked as old.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use storm_rpc::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::pages::{Ask, Page, Trouble, error, render, text};

const EVERY: Duration = Duration::from_secs(2);
/// Who gets no answer for so long is told; the answer is waited for on.
const PATIENCE: Duration = Duration::from_secs(3);
/// Pages that are live at once; who comes when all are taken is asked to come again, and sees a page
/// that stands still.
const VIEWERS: usize = 1000;

/// How many may look, and when the cluster was heard last.
#[derive(Debug)]
pub(super) struct Viewers {
    places: Arc<Semaphore>,
    heard: Mutex<Option<SystemTime>>,
}

impl Default for Viewers {
    fn default() -> Viewers {
        Viewers { places: Arc::new(Semaphore::new(VIEWERS)), heard: Mutex::default() }
    }
}

impl Viewers {
    /// A place to look from; none when all are taken.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    fn hear(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(SystemTime::now());
    }

    /// Since when the cluster is silent: its last answer, or where there was none the first who missed it.
    fn silent_since(&self) -> SystemTime {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard.get_or_insert_with(SystemTime::now)
    }
}

/// A page that is being made.
type Asking = Pin<Box<dyn Future<Output = Result<Page, Trouble>> + Send>>;

/// What one viewer sees.
struct View {
    app: App,
    viewers: Arc<Viewers>,
    ask: Arc<Ask>,
    asking: Option<Asking>,
    /// Of what it was sent last.
    sent: Option<u64>,
    is_first: bool,
    /// It has a page that does not change by itself.
    is_done: bool,
    /// The viewer was told that nobody answers.
    is_away: bool,
    _place: OwnedSemaphorePermit,
}

/// `GET /live?page=<path and parameters>`: a page each time that it has changed, and an event `away` when
/// the cluster does not answer. A page that does not change by itself is the last: it may be a search of
/// all machines, which nobody wants every two seconds.
pub(super) async fn stream(
    State(app): State<App>,
    Extension(viewers): Extension<Arc<Viewers>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let page = query.get("page").map_or("", String::as_str);
    let Some(ask) = page.parse::<Uri>().ok().and_then(|uri| Ask::new(&uri, "")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(place) = viewers.place() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let view = View {
        app,
        viewers,
        ask: Arc::new(ask),
        asking: None,
        sent: None,
        is_first: true,
        is_done: false,
        is_away: false,
        _place: place,
    };
    let events = stream::unfold(view, |mut view| async move {
        if view.is_done {
            return None;
        }
        let event = next(&mut view).await;
        Some((Ok::<_, Infallible>(event), view))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

/// Waits until there is something new to see. A page that is the same for long is kept alive by comments.
async fn next(view: &mut View) -> Event {
    loop {
        if view.asking.is_none() && !view.is_first {
            tokio::time::sleep(EVERY).await;
        }
        view.is_first = false;
        let (app, ask) = (&view.app, &view.ask);
        let asking = view.asking.get_or_insert_with(|| {
            let (app, ask) = (app.clone(), Arc::clone(ask));
            Box::pin(async move { render(&app, &ask).await })
        });
        let answer = if view.is_away {
            asking.await
        } else {
            match tokio::time::timeout(PATIENCE, asking).await {
                Ok(answer) => answer,
                Err(_) => return away(view),
            }
        };
        view.asking = None;
        let page = match answer {
            Ok(page) => {
                view.viewers.hear();
                view.is_done = !page.is_live;
                page
            }
            Err(trouble) if is_silence(&view.ask, &trouble) => {
                if view.is_away {
                    continue;
                }
                return away(view);
            }
            Err(trouble) => error::page(&view.ask, &trouble),
        };
        let data = serde_json::json!({"title": page.title, "main": page.main, "still": view.is_done});
        let data = data.to_string();
        // Pages are large and viewers many: it is enough to know whether it is another one.
        let sent = Some(hash(&data));
        // Who was told that nobody answers is told that somebody does, even with the same page.
        if std::mem::take(&mut view.is_away) || view.is_done || sent != view.sent {
            view.sent = sent;
            return Event::default().data(data);
        }
    }
}

fn hash(data: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    hasher.finish()
}

/// Whether it is the cluster that does not answer. Pages of logs ask the machines that have them, and say
/// themselves which one is silent.
fn is_silence(ask: &Ask, trouble: &Trouble) -> bool {
    let is_of_logs = ask.path.first().is_some_and(|name| name == "logs");
    matches!(trouble, Trouble::Call(error) if error.code == ErrorCode::Unreachable) && !is_of_logs
}

fn away(view: &mut View) -> Event {
    view.is_away = true;
    let since = since(view.viewers.silent_since(), SystemTime::now());
    Event::default().event("away").data(serde_json::json!({"since": since}).to_string())
}

/// The time of a moment, with its date unless it is of the last hours.
fn since(moment: SystemTime, now: SystemTime) -> String {
    const HOURS: Duration = Duration::from_secs(12 * 3600);
    let whole = text::moment(text::as_millis(moment));
    let is_near = now.duration_since(moment).unwrap_or_default() < HOURS;
    let shown = whole.split_once(' ').filter(|_| is_near).map_or(whole.as_str(), |(_, time)| time);
    format!("{shown} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_has_a_date_when_it_is_long() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_600_000);
        let after = |secs| since(moment, moment + Duration::from_secs(secs));
        assert_eq!([after(60), after(100_000)], ["08:00:00 UTC", "2026-01-05 08:00:00 UTC"]);
    }

    #[test]
    fn a_silence_begins_with_the_last_answer() {
        let viewers = Viewers::default();
        let missed = viewers.silent_since();
        assert_eq!(viewers.silent_since(), missed, "it stays what it is");
        viewers.hear();
        assert!(viewers.silent_since() >= missed);
    }
}
