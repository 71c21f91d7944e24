//! What is asked where.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use model::time::DAY_US;
use serde::Serialize;

use crate::access::{guard, is_bearer};
use crate::answer::{Refusal, json, refusal, with_type, wrong};
use crate::archive::{Archive, Budget, By, LoadQuery, PushError, ShareQuery};
use crate::history::{LoadsView, SharesView};
use crate::parameters::Parameters;
use crate::service::Service;
use crate::view::{AlertView, EventView, ExporterView, ListView, PortView, RecentView, WhatIfView, ms};
use crate::{assets, live, metrics};

/// How long a query waits for others to end.
const QUEUE_PATIENCE: Duration = Duration::from_secs(10);
/// How long a pushed batch may take to come.
const PUSH_PATIENCE: Duration = Duration::from_secs(30);
/// A snapshot that is older is none: whoever hands them over hangs.
const STALE: Duration = Duration::from_secs(60);
/// Connections that may be taken as failed at once.
const FAILED_MOST: usize = 1_000;

type Shared = State<Arc<Service>>;
type Answer = Result<Response, Refusal>;

pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(|| async { assets::page() }))
        .route("/assets/{name}", get(assets::asset))
        .route("/api/v1/openapi.json", get(|| async { with_type(assets::OPENAPI, "application/json") }))
        .route("/api/v1/connections", get(connections))
        .route("/api/v1/connection", get(connection))
        .route("/api/v1/loads", get(loads))
        .route("/api/v1/shares", get(shares))
        .route("/api/v1/ports", get(ports))
        .route("/api/v1/exporters", get(exporters))
        .route("/api/v1/events", get(events))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/what-if", get(what_if))
        .route("/api/v1/live", get(live::listen))
        .route("/api/v1/counters", post(push))
        .route("/metrics", get(metrics::scrape))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is nothing here: /api/v1/openapi.json lists what there is") })
        .method_not_allowed_fallback(|| async {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "this is not done here: the page is read, only counters are pushed")
        })
        .layer(from_fn_with_state(service.clone(), guard))
        .with_state(service)
}

/// The parameters that a request may have.
fn read<'a>(query: &'a RawQuery, known: &[&str]) -> Result<Parameters<'a>, Refusal> {
    Parameters::read(query.0.as_deref(), known).map_err(wrong)
}

async fn connections(State(service): Shared, query: RawQuery) -> Answer {
    read(&query, &[])?;
    Ok(json(&ListView::of(&service.now().snapshot)))
}

async fn connection(State(service): Shared, query: RawQuery) -> Answer {
    let parameters = read(&query, &["name"])?;
    let name = parameters.required("name").map_err(wrong)?;
    let shown = service.now();
    let connection = shown.snapshot.connection(name).ok_or_else(|| unknown(name))?;
    Ok(json(&RecentView::of(&shown.snapshot, connection)))
}

fn unknown(name: &str) -> Refusal {
    refusal(StatusCode::NOT_FOUND, format!("there is no connection {name:?}: /api/v1/connections lists them"))
}

#[derive(Serialize)]
struct Many<T: Serialize> {
    at_ms: i64,
    #[serde(flatten)]
    what: T,
}

async fn ports(State(service): Shared, query: RawQuery) -> Answer {
    #[derive(Serialize)]
    struct Ports<'a> {
        ports: Vec<PortView<'a>>,
    }
    read(&query, &[])?;
    let shown = service.now();
    let ports = shown.snapshot.ports.iter().map(PortView::of).collect();
    Ok(json(&Many { at_ms: ms(shown.snapshot.at_us), what: Ports { ports } }))
}

async fn exporters(State(service): Shared, query: RawQuery) -> Answer {
    #[derive(Serialize)]
    struct Exporters<'a> {
        exporters: Vec<ExporterView<'a>>,
        ledger: [String; 3],
    }
    read(&query, &[])?;
    let shown = service.now();
    let at_us = shown.snapshot.at_us;
    let exporters = shown.snapshot.exporters.iter().map(|exporter| ExporterView::of(exporter, at_us)).collect();
    Ok(json(&Many { at_ms: ms(at_us), what: Exporters { exporters, ledger: shown.snapshot.ledger.lines() } }))
}

async fn events(State(service): Shared, query: RawQuery) -> Answer {
    #[derive(Serialize)]
    struct Events<'a> {
        events: Vec<EventView<'a>>,
    }
    let parameters = read(&query, &["connection"])?;
    let of = parameters.one("connection").map_err(wrong)?;
    let shown = service.now();
    let all = shown.snapshot.events.iter();
    let events = all.filter(|event| of.is_none_or(|of| &*event.connection == of)).map(EventView::of).collect();
    Ok(json(&Many { at_ms: ms(shown.snapshot.at_us), what: Events { events } }))
}

async fn alerts(State(service): Shared, query: RawQuery) -> Answer {
    #[derive(Serialize)]
    struct Alerts<'a> {
        alerts: Vec<AlertView<'a>>,
    }
    read(&query, &[])?;
    let shown = service.now();
    let alerts = shown.snapshot.alerts.iter().map(AlertView::of).collect();
    Ok(json(&Many { at_ms: ms(shown.snapshot.at_us), what: Alerts { alerts } }))
}

async fn what_if(State(service): Shared, query: RawQuery) -> Answer {
    #[derive(Serialize)]
    struct Answered<'a> {
        down: Vec<&'a str>,
        full_ratio: f64,
        directions: Vec<WhatIfView<'a>>,
    }
    let parameters = read(&query, &["down"])?;
    let names: BTreeSet<&str> = parameters.all("down").collect();
    if names.len() > FAILED_MOST {
        return Err(wrong(format!("{} connections are taken as down: give at most {FAILED_MOST}", names.len())));
    }
    let shown = service.now();
    let networks = &shown.snapshot.networks;
    let places = networks.places(names.iter().copied()).map_err(|name| {
        let sentence = format!("{name:?} is no active peering connection: /api/v1/connections lists them");
        refusal(StatusCode::NOT_FOUND, sentence)
    })?;
    let answers = networks.what_if(&places);
    let full = service.judged_by.full;
    let directions = answers.iter().map(|answer| WhatIfView::of(answer, full)).collect();
    let answered = Answered { down: names.into_iter().collect(), full_ratio: full, directions };
    Ok(json(&Many { at_ms: ms(shown.snapshot.at_us), what: answered }))
}

/// The range of a query of the tables.
fn range(service: &Service, parameters: &Parameters<'_>, at_us: i64) -> Result<(i64, i64), Refusal> {
    let to_us = parameters.time_us("to_ms").map_err(wrong)?.unwrap_or(at_us).min(at_us);
    let from_us = parameters.time_us("from_ms").map_err(wrong)?.unwrap_or(to_us - DAY_US / 4);
    let days = service.limits.range_days;
    if from_us >= to_us {
        return Err(wrong("from_ms is not before to_ms"));
    }
    if to_us - from_us > days * DAY_US {
        return Err(wrong(format!("the range is longer than {days} days: [web.limits] range_days")));
    }
    Ok((from_us, to_us))
}

fn budget(service: &Service) -> Budget {
    let until = Instant::now() + Duration::from_secs(service.limits.query_seconds);
    Budget { rows: service.limits.query_rows, until }
}

/// Has the archive asked on a thread that may wait, when those before have ended.
async fn ask<T: Send + 'static>(
    service: &Service,
    question: impl FnOnce(&dyn Archive) -> Result<T, String> + Send + 'static,
) -> Result<T, Refusal> {
    let busy = || refusal(StatusCode::SERVICE_UNAVAILABLE, "other queries are under way: ask again in a while");
    let waited = tokio::time::timeout(QUEUE_PATIENCE, service.queries.clone().acquire_owned()).await;
    let permit = waited.ok().and_then(Result::ok).ok_or_else(busy)?;
    let archive = service.archive.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let answer = question(&*archive);
        drop(permit);
        answer
    });
    let failed = |sentence: String| refusal(StatusCode::INTERNAL_SERVER_ERROR, sentence);
    asked.await.map_err(|_| failed("the query failed; please report this".into()))?.map_err(failed)
}

async fn loads(State(service): Shared, query: RawQuery) -> Answer {
    let parameters = read(&query, &["connection", "from_ms", "to_ms"])?;
    let name = parameters.required("connection").map_err(wrong)?;
    let shown = service.now();
    let connection = shown.snapshot.connection(name).ok_or_else(|| unknown(name))?;
    let (from_us, to_us) = range(&service, &parameters, shown.snapshot.at_us)?;
    let (name, port) = (connection.name.clone(), connection.port.clone());
    let query = LoadQuery { connection: name.clone(), port, from_us, to_us, budget: budget(&service) };
    let loads = ask(&service, move |archive| archive.loads(&query)).await?;
    Ok(json(&LoadsView::of(&name, connection.capacity_bps, &loads)))
}

async fn shares(State(service): Shared, query: RawQuery) -> Answer {
    let parameters = read(&query, &["connection", "by", "from_ms", "to_ms"])?;
    let name = parameters.required("connection").map_err(wrong)?;
    let by = parameters.required("by").map_err(wrong)?;
    let known = || wrong(format!("by = {by:?} is unknown: give service, region, customer or prefix"));
    let by = By::ALL.into_iter().find(|one| one.name() == by).ok_or_else(known)?;
    let shown = service.now();
    let connection = shown.snapshot.connection(name).ok_or_else(|| unknown(name))?;
    let (from_us, to_us) = range(&service, &parameters, shown.snapshot.at_us)?;
    let query = ShareQuery { connection: connection.name.clone(), from_us, to_us, by, budget: budget(&service) };
    let shares = ask(&service, move |archive| archive.shares(&query)).await?;
    Ok(json(&SharesView::of(&connection.name, by, (from_us, to_us), &shares)))
}

async fn push(State(service): Shared, query: RawQuery, request: Request) -> Answer {
    read(&query, &[])?;
    if service.access.token.is_none() && request.headers().contains_key(header::AUTHORIZATION) {
        return Err(refusal(StatusCode::FORBIDDEN, "counters are taken with a token alone: set [web] token_file"));
    }
    // A browser shows a password of itself, also where another site's page makes it ask.
    if !is_bearer(&service.access, request.headers()) {
        return Err(refusal(StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN"));
    }
    let most = service.limits.push_bytes;
    let body = tokio::time::timeout(PUSH_PATIENCE, to_bytes(request.into_body(), most)).await;
    let body = body.map_err(|_| refusal(StatusCode::REQUEST_TIMEOUT, "the lines did not come in time"))?;
    let body = body.map_err(|_| {
        let sentence = format!("the batch has more than {most} bytes: send less at once ([web.limits] push_bytes)");
        refusal(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    })?;
    let lines = std::str::from_utf8(&body).map_err(|_| wrong("the lines are not UTF-8"))?;
    let pushed = service.archive.push_counters(lines).map_err(|error| match error {
        PushError::Line(number, why) => wrong(format!("line {number}: {why}; nothing was taken in")),
        PushError::Busy => refusal(StatusCode::SERVICE_UNAVAILABLE, "earlier counters are not taken in yet: send again later"),
    })?;
    let mut response = json(&serde_json::json!({ "lines": pushed }));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

/// Whether the program works: its owner hands snapshots over.
async fn health(State(service): Shared) -> Response {
    match service.now().at {
        Some(at) if at.elapsed() < STALE => plain(StatusCode::OK, "works\n"),
        Some(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "no figures for a minute\n"),
        // It has just started, or reads its journal.
        None => plain(StatusCode::OK, "starts\n"),
    }
}

/// Whether it does all of its work: figures come, and the disk takes them.
async fn ready(State(service): Shared) -> Response {
    let shown = service.now();
    match shown.at {
        Some(at) if at.elapsed() >= STALE => plain(StatusCode::SERVICE_UNAVAILABLE, "no figures for a minute\n"),
        Some(_) if shown.snapshot.process.is_disk_failing => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "the data folder cannot be written\n")
        }
        Some(_) => plain(StatusCode::OK, "ready\n"),
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "starts\n"),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
