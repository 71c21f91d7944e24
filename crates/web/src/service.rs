//! The server: what it shows, and the thread that serves it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, watch};

use crate::access::Peer;
use crate::archive::Archive;
use crate::settings::{Access, WebLimits};
use crate::snapshot::Snapshot;
use crate::status::Limits;
use crate::view::LiveView;

/// How long the head of a request is waited for, and an idle connection held.
const PATIENCE: Duration = Duration::from_secs(30);
/// Wait after a connection could not be accepted: too many files are open.
const AGAIN: Duration = Duration::from_millis(100);

/// A snapshot as it is handed to all who listen: made into text once.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) snapshot: Snapshot,
    /// When it was handed over; `None` of nothing.
    pub(crate) at: Option<Instant>,
    live: OnceLock<Vec<String>>,
}

impl Shown {
    /// What changes of each connection, in JSON, in the order of the snapshot.
    pub(crate) fn live(&self) -> &[String] {
        self.live.get_or_init(|| {
            let text = |connection| serde_json::to_string(&LiveView::of(connection)).unwrap_or_default();
            self.snapshot.connections.iter().map(text).collect()
        })
    }
}

/// What the handlers know.
pub(crate) struct Service {
    pub(crate) shown: watch::Receiver<Arc<Shown>>,
    pub(crate) archive: Arc<dyn Archive>,
    pub(crate) access: Access,
    pub(crate) limits: WebLimits,
    pub(crate) judged_by: Limits,
    /// Queries of the tables under way.
    pub(crate) queries: Arc<Semaphore>,
    /// Pages that listen.
    pub(crate) listeners: Arc<Semaphore>,
}

impl Service {
    pub(crate) fn now(&self) -> Arc<Shown> {
        self.shown.borrow().clone()
    }
}

/// Where snapshots are handed over; nobody waits for anybody.
#[derive(Clone)]
pub struct Screen {
    sender: Arc<watch::Sender<Arc<Shown>>>,
}

impl Screen {
    /// Shows a snapshot from now on.
    pub fn show(&self, snapshot: Snapshot) {
        let shown = Shown { snapshot, at: Some(Instant::now()), live: OnceLock::new() };
        self.sender.send_replace(Arc::new(shown));
    }
}

/// How the page is served.
pub struct Options {
    /// Who may ask.
    pub access: Access,
    /// What asking may cost.
    pub limits: WebLimits,
    /// By what connections are judged.
    pub judged_by: Limits,
}

fn service(options: Options, archive: Arc<dyn Archive>) -> (Screen, Arc<Service>) {
    let (sender, shown) = watch::channel(Arc::default());
    let service = Service {
        shown,
        archive,
        queries: Arc::new(Semaphore::new(options.limits.queries)),
        listeners: Arc::new(Semaphore::new(options.limits.listeners)),
        access: options.access,
        limits: options.limits,
        judged_by: options.judged_by,
    };
    (Screen { sender: Arc::new(sender) }, Arc::new(service))
}

/// Serves on a socket that listens, on a thread of its own, until the program ends.
///
/// # Errors
///
/// If the thread cannot be started.
pub fn serve(listener: TcpListener, options: Options, archive: Arc<dyn Archive>) -> io::Result<Screen> {
    let connections = options.limits.connections;
    let (screen, service) = service(options, archive);
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || runtime.block_on(accept(listener, service, connections));
    std::thread::Builder::new().name("web".into()).spawn(work)?;
    Ok(screen)
}

/// Takes connections in, so many at once.
async fn accept(listener: TcpListener, service: Arc<Service>, most: usize) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the page cannot be served: {error}"),
    };
    let router = crate::routes::router(service);
    let room = Arc::new(Semaphore::new(most));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let (stream, peer): (_, SocketAddr) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(_) => {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone().layer(Extension(Peer(peer))));
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(64 << 10);
            // A reader that went away is no failure.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}
