//! Telling targets: at least once, over restarts, each by a thread of its own.
//!
//! ```text
//! owner ─tell─▶ keeper ─▶ saver (the disk)       a second at most is waited for it
//!                 └─────▶ lane (a target) …      none waits for another
//! ```
//!
//! What is to be told is saved before it is told, with all that the engine knows: a killed collector goes on
//! with both. A disk that hangs or fails costs that promise and nothing else.

mod http;
mod lane;
mod messages;
mod target;
mod tls;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use model::Name;
use serde::{Deserialize, Serialize};

use self::lane::Lane;
use crate::alert::{Alert, Severity, State, Subject};
use crate::engine::Notice;
use crate::kind::Kind;
use crate::settings::AlertSettings;
use crate::silence::Silence;

pub use self::lane::{Delivered, test_target};
pub use self::target::{Target, TargetConfig, check_targets};

/// Orders that wait for the keeper.
const ORDERS_MOST: usize = 64;
/// How long the disk is waited for before something is told.
const DISK_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether something was delivered, and whether there are other silences.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const SILENCES_EVERY: Duration = Duration::from_secs(1);
/// Notices taken by targets that are remembered until someone asks.
const DELIVERED_MOST: usize = 100_000;
/// The same that are saved.
const DELIVERED_SAVED: usize = 1_000;
/// Tries in vain after which a target is in trouble.
const TRIES_TROUBLED: u32 = 3;

/// Where the state is kept, and silences are had from: the disk, by whoever knows it.
pub trait Keep: Send {
    /// Saves the state, whole, in place of the one before.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    fn save(&mut self, state: &[u8]) -> Result<(), String>;

    /// Silences that were asked for besides those of the configuration; `None` if they are as before.
    fn silences(&mut self) -> Option<Vec<Silence>>;
}

/// What is saved.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    /// Of [`Engine::state`](crate::Engine::state).
    pub engine: Vec<u8>,
    /// What goes on, and what has ended of late.
    pub standing: Vec<Alert>,
    /// What targets have not taken yet, by their names.
    pub waiting: Vec<(String, Vec<Alert>)>,
    /// What they have taken of late: a killed collector may not have noted it yet.
    pub delivered: Vec<Delivered>,
}

impl Saved {
    /// Reads what was saved; `None` where it is of another version.
    pub fn read(state: &[u8]) -> Option<Saved> {
        postcard::from_bytes(state).ok()
    }

    fn to_bytes(&self) -> Vec<u8> {
        // It holds lists, texts and numbers: nothing that could not be written down.
        postcard::to_stdvec(self).unwrap_or_default()
    }
}

enum Order {
    Tell { notices: Vec<Notice>, standing: Vec<Alert>, engine: Vec<u8> },
    Reconfigure(Vec<Target>, AlertSettings),
    Stop,
}

/// What the keeper tells its owner, who never waits for it.
#[derive(Default)]
struct News {
    delivered: Vec<Delivered>,
    silences: Vec<Silence>,
    troubles: Vec<(Name, String)>,
}

/// Tells targets of alerts; nobody waits for it.
pub struct Delivery {
    orders: Sender<Order>,
    news: Arc<Mutex<News>>,
    ended: Receiver<()>,
    /// What the keeper had no room for.
    untold: Vec<Notice>,
    settings: AlertSettings,
}

impl Delivery {
    /// Starts it; what an earlier run had not told yet is told.
    pub fn start(targets: Vec<Target>, settings: &AlertSettings, saved: Saved, keep: Box<dyn Keep>) -> Delivery {
        let (orders, inbox) = bounded(ORDERS_MOST);
        let (ending, ended) = bounded(1);
        let news = Arc::new(Mutex::new(News { delivered: saved.delivered.clone(), ..News::default() }));
        let saver = Saver::start(keep, news.clone());
        let mut keeper = Keeper { lanes: Vec::new(), saver, saved, settings: settings.clone(), news: news.clone() };
        thread::spawn(move || {
            keeper.reconfigure(targets);
            keeper.keep_until_stopped(&inbox);
            // Nobody may be there any more who wants to know.
            let _ = ending.send(());
        });
        Delivery { orders, news, ended, untold: Vec::new(), settings: settings.clone() }
    }

    /// Has targets told, and the engine's state saved with it.
    pub fn tell(&mut self, notices: impl IntoIterator<Item = Notice>, standing: Vec<Alert>, engine: Vec<u8>) {
        self.untold.extend(notices);
        let order = Order::Tell { notices: std::mem::take(&mut self.untold), standing, engine };
        if let Err(TrySendError::Full(Order::Tell { notices, .. })) = self.orders.try_send(order) {
            // The next time; the keeper has stood still for a minute then, and is named as trouble.
            let most = self.settings.waiting_max;
            self.untold = notices;
            self.untold.drain(..self.untold.len().saturating_sub(most));
        }
    }

    /// Goes on with other targets; what waits for one that stays goes on waiting.
    pub fn reconfigure(&mut self, targets: Vec<Target>, settings: &AlertSettings) {
        self.settings = settings.clone();
        if self.orders.try_send(Order::Reconfigure(targets, settings.clone())).is_err() {
            tracing::error!("the alert targets could not be changed: their keeper waits for the disk; reload again");
        }
    }

    /// What targets have taken since it was asked last.
    pub fn take_delivered(&self) -> Vec<Delivered> {
        std::mem::take(&mut self.lock().delivered)
    }

    /// Silences that were asked for besides those of the configuration.
    pub fn silences(&self) -> Vec<Silence> {
        self.lock().silences.clone()
    }

    /// Targets and queues in trouble: what, and a sentence.
    pub fn troubles(&self) -> Vec<(Name, String)> {
        let mut troubles = self.lock().troubles.clone();
        if !self.untold.is_empty() {
            troubles.push(("alert_queue".into(), "alerts are not told: their keeper stands still".to_owned()));
        }
        troubles
    }

    /// Has told what can be told within a time, saves the rest for the next run, and ends.
    ///
    /// Gives what was delivered since it was asked last.
    pub fn stop(self, patience: Duration) -> Vec<Delivered> {
        let _ = self.orders.send_timeout(Order::Stop, patience);
        let _ = self.ended.recv_timeout(patience + DISK_PATIENCE);
        self.take_delivered()
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread between owner and targets.
struct Keeper {
    lanes: Vec<Arc<Lane>>,
    saver: Saver,
    saved: Saved,
    settings: AlertSettings,
    news: Arc<Mutex<News>>,
}

impl Keeper {
    fn keep_until_stopped(&mut self, inbox: &Receiver<Order>) {
        loop {
            match inbox.recv_timeout(LOOK_EVERY) {
                Ok(Order::Tell { notices, standing, engine }) => self.tell(&notices, standing, engine),
                Ok(Order::Reconfigure(targets, settings)) => {
                    self.settings = settings;
                    self.reconfigure(targets);
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.look();
        }
        let until = Instant::now() + DISK_PATIENCE;
        while Instant::now() < until && self.lanes.iter().any(|lane| !lane.lock().waiting.is_empty()) {
            thread::sleep(LOOK_EVERY / 10);
        }
        self.look();
        self.lanes.iter().for_each(|lane| lane.stop());
        self.save();
    }

    /// Saves first, then tells.
    fn tell(&mut self, notices: &[Notice], standing: Vec<Alert>, engine: Vec<u8>) {
        (self.saved.standing, self.saved.engine) = (standing, engine);
        let of_lanes: Vec<Vec<Alert>> =
            self.lanes.iter().map(|lane| notices.iter().filter_map(|notice| notice.from(lane.target.least)).collect()).collect();
        self.note_waiting();
        for ((_, waiting), notices) in self.saved.waiting.iter_mut().zip(&of_lanes) {
            waiting.extend(notices.iter().cloned());
        }
        self.saver.save(self.saved.to_bytes());
        let standing = Arc::new(self.saved.standing.clone());
        for (lane, notices) in self.lanes.iter().zip(of_lanes) {
            lane.push(notices, standing.clone());
        }
    }

    fn note_waiting(&mut self) {
        let waiting = |lane: &Arc<Lane>| (lane.target.name().to_owned(), lane.lock().waiting.iter().cloned().collect());
        self.saved.waiting = self.lanes.iter().map(waiting).collect();
    }

    fn save(&mut self) {
        self.note_waiting();
        self.saver.save(self.saved.to_bytes());
    }

    /// Looks what targets have taken, and how they fare.
    fn look(&mut self) {
        let (mut delivered, mut troubles) = (Vec::new(), Vec::new());
        for lane in &self.lanes {
            let mut queue = lane.lock();
            delivered.append(&mut queue.taken);
            let name = lane.target.name();
            if let Some((reason, _)) = queue.failing.as_ref().filter(|(_, tries)| *tries >= TRIES_TROUBLED) {
                troubles.push((
                    Name::from(format!("alert_target {name}")),
                    format!("the alert target {name} takes no alerts: {reason}"),
                ));
            }
            if queue.fell_off > 0 {
                let text = format!("{} alerts for the target {name} fell off or were refused", queue.fell_off);
                troubles.push((Name::from(format!("alert_losses {name}")), text));
            }
        }
        let has_news = !delivered.is_empty();
        self.saved.delivered.extend(delivered.iter().cloned());
        let excess = self.saved.delivered.len().saturating_sub(DELIVERED_SAVED);
        self.saved.delivered.drain(..excess);
        {
            let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
            news.troubles = troubles;
            news.delivered.append(&mut delivered);
            let excess = news.delivered.len().saturating_sub(DELIVERED_MOST);
            news.delivered.drain(..excess);
        }
        if has_news {
            self.save();
        }
    }

    /// Lanes for these targets: those that stay as they are go on, of the others what waits goes on by the name.
    fn reconfigure(&mut self, targets: Vec<Target>) {
        if !self.lanes.is_empty() {
            self.note_waiting();
        }
        let before = std::mem::take(&mut self.lanes);
        for target in targets {
            let same = before.iter().find(|lane| lane.target == target && lane.has(&self.settings));
            let lane = same.cloned().unwrap_or_else(|| {
                let waiting = self.saved.waiting.iter().find(|(name, _)| name == target.name());
                let waiting: VecDeque<Alert> = waiting.map(|(_, waiting)| waiting.iter().cloned().collect()).unwrap_or_default();
                Lane::start(target, &self.settings, waiting)
            });
            self.lanes.push(lane);
        }
        before.iter().filter(|lane| !self.lanes.iter().any(|kept| Arc::ptr_eq(lane, kept))).for_each(|lane| lane.stop());
        let standing = Arc::new(self.saved.standing.clone());
        self.lanes.iter().for_each(|lane| lane.push(Vec::new(), standing.clone()));
    }
}

/// The thread that waits for the disk.
struct Saver {
    states: Sender<Vec<u8>>,
    done: Receiver<()>,
}

impl Saver {
    fn start(mut keep: Box<dyn Keep>, news: Arc<Mutex<News>>) -> Saver {
        let (states, inbox) = bounded::<Vec<u8>>(1);
        let (finish, done) = bounded(1);
        thread::spawn(move || {
            let mut is_failing = false;
            loop {
                if let Some(silences) = keep.silences() {
                    news.lock().unwrap_or_else(PoisonError::into_inner).silences = silences;
                }
                match inbox.recv_timeout(SILENCES_EVERY) {
                    Ok(state) => {
                        let failed = keep.save(&state).err();
                        if let Some(error) = failed.as_ref().filter(|_| !is_failing) {
                            tracing::error!("{error}; alerts are told all the same, a kill may have them told again");
                        }
                        is_failing = failed.is_some();
                        let _ = finish.try_send(());
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        Saver { states, done }
    }

    /// Has a state saved; waits for it, a second at most.
    fn save(&self, state: Vec<u8>) {
        let until = Instant::now() + DISK_PATIENCE;
        // What an earlier one has not waited for.
        while self.done.try_recv().is_ok() {}
        if self.states.send_deadline(state, until).is_ok() {
            let _ = self.done.recv_deadline(until);
        }
    }
}

/// What [`test_target`] tells.
fn test_alert(now_us: i64) -> Alert {
    Alert {
        kind: Kind::Trouble,
        subject: Subject { detail: Some("test".into()), ..Subject::default() },
        state: State::Firing,
        severity: Severity::Info,
        value: None,
        threshold: None,
        standard_error: None,
        summary: "This is a test of peerscope's alerts: nothing is wrong".to_owned(),
        at_us: now_us,
        started_us: now_us,
        ended_us: None,
        is_silenced: false,
        is_flapping: false,
    }
}
