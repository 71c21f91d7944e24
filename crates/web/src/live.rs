//! Changes as they come, by server-sent events: at first everything, then what differs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::WatchStream;

use crate::answer::refusal;
use crate::service::{Service, Shown};
use crate::verdict::verdict;
use crate::view::ms;

/// `GET /api/v1/live`.
pub(crate) async fn listen(State(service): State<Arc<Service>>) -> Response {
    let Ok(permit) = service.listeners.clone().try_acquire_owned() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "as many pages listen as may: [web.limits] listeners").into_response();
    };
    let mut before: Option<Arc<Shown>> = None;
    let stream = WatchStream::new(service.shown.clone()).filter(|shown| shown.at.is_some()).map(move |shown| {
        // Held for as long as somebody listens.
        let _ = &permit;
        let data = changes(before.as_deref(), &shown);
        before = Some(shown);
        Ok::<Event, Infallible>(Event::default().event("changes").data(data))
    });
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}

/// What differs from the snapshot before, as a JSON document.
pub(crate) fn changes(before: Option<&Shown>, shown: &Shown) -> String {
    let names = |shown: &Shown| shown.snapshot.connections.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let order = names(shown);
    let is_same_order = before.is_some_and(|before| names(before) == order);
    let known: HashMap<&str, &str> = before.map_or_else(HashMap::new, |before| {
        before.snapshot.connections.iter().map(|one| &*one.name).zip(before.live().iter().map(String::as_str)).collect()
    });
    let texts = shown.snapshot.connections.iter().zip(shown.live());
    let changed = texts.filter(|(one, text)| known.get(&*one.name) != Some(&text.as_str()));
    let connections: Vec<&str> = changed.map(|(_, text)| text.as_str()).collect();
    let counts = |shown: &Shown| (shown.snapshot.events.len(), shown.snapshot.alerts.len());
    let head = serde_json::json!({
        "at_ms": ms(shown.snapshot.at_us),
        "speed": shown.snapshot.speed.max(1),
        "verdict": verdict(&shown.snapshot),
        "events": counts(shown).0,
        "alerts": counts(shown).1,
        "order": (!is_same_order).then(|| order.iter().map(|name| &**name).collect::<Vec<&str>>()),
    });
    let head = head.to_string();
    // The parts are JSON already.
    format!("{},\"connections\":[{}]}}", &head[..head.len() - 1], connections.join(","))
}
