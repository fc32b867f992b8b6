//! Pages that change while people look at them: the server renders what they see every two seconds,
//! and sends it when it is another.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::App;
use crate::pages::{Ask, error, render};

const EVERY: Duration = Duration::from_secs(2);
/// Pages that are live at once; who comes when all are taken is asked to come again, and sees a page
/// that stands still.
const VIEWERS: usize = 1000;

/// How many may look.
#[derive(Debug)]
pub(super) struct Viewers(Arc<Semaphore>);

impl Default for Viewers {
    fn default() -> Viewers {
        Viewers(Arc::new(Semaphore::new(VIEWERS)))
    }
}

impl Viewers {
    /// A place to look from; none when all are taken.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// What one viewer sees.
struct View {
    app: App,
    ask: Ask,
    sent: String,
    is_first: bool,
    _place: OwnedSemaphorePermit,
}

/// `GET /live?page=<path and parameters>`: a page each time that it has changed.
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
    let view = View { app, ask, sent: String::new(), is_first: true, _place: place };
    let events = stream::unfold(view, |mut view| async move {
        let event = next(&mut view).await;
        Some((Ok::<_, Infallible>(event), view))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

/// Waits until there is something new to see. A page that is the same for long is kept alive by comments.
async fn next(view: &mut View) -> Event {
    loop {
        if !view.is_first {
            tokio::time::sleep(EVERY).await;
        }
        view.is_first = false;
        let page = match render(&view.app, &view.ask).await {
            Ok(page) => page,
            Err(trouble) => error::page(&view.ask, &trouble),
        };
        let data = serde_json::json!({"title": page.title, "main": page.main}).to_string();
        if data != view.sent {
            view.sent.clone_from(&data);
            return Event::default().data(data);
        }
    }
}
