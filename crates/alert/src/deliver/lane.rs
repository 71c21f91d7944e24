//! One target and the thread that tells it: what hangs here hangs nowhere else.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use ureq::Agent;

use super::http::{self, Refusal};
use super::messages;
use super::target::{Protocol, Target};
use crate::alert::Alert;
use crate::settings::AlertSettings;

/// Notices that go in one message.
const AT_ONCE: usize = 20;
/// Tries after which what a target refuses for good is given up.
const TRIES_MOST: u32 = 5;
/// Longest wait for nothing in particular.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A notice that a target has taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The alert's fingerprint.
    pub fingerprint: String,
    /// When it was judged so.
    pub at_us: i64,
    /// The target's name.
    pub target: String,
}

/// What waits for a target, and how it fares.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Alert>,
    /// Everything that goes on or has ended of late, for one who keeps no state.
    standing: Arc<Vec<Alert>>,
    pub(super) taken: Vec<Delivered>,
    /// Notices that found no room, or were refused for good.
    pub(super) fell_off: u64,
    /// Why it takes nothing now, and tries since.
    pub(super) failing: Option<(String, u32)>,
    is_stopped: bool,
}

/// A target at work.
pub(super) struct Lane {
    pub(super) target: Target,
    settings: AlertSettings,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Lane {
    /// Starts the thread; it ends by itself after [`Lane::stop`].
    pub(super) fn start(target: Target, settings: &AlertSettings, waiting: VecDeque<Alert>) -> Arc<Lane> {
        let queue = Queue { waiting, ..Queue::default() };
        let lane = Lane { target, settings: settings.clone(), queue: Mutex::new(queue), changed: Condvar::new() };
        let lane = Arc::new(lane);
        let of_thread = lane.clone();
        thread::spawn(move || of_thread.tell_until_stopped());
        lane
    }

    /// The queue; never held while something is sent.
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic in between leaves nothing half-done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what it is to hear.
    pub(super) fn push(&self, notices: Vec<Alert>, standing: Arc<Vec<Alert>>) {
        let mut queue = self.lock();
        queue.waiting.extend(notices);
        queue.standing = standing;
        while queue.waiting.len() > self.settings.waiting_max {
            queue.waiting.pop_front();
            queue.fell_off += 1;
        }
        self.changed.notify_all();
    }

    /// Whether it works by these settings.
    pub(super) fn has(&self, settings: &AlertSettings) -> bool {
        self.settings == *settings
    }

    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, most: Duration) -> MutexGuard<'a, Queue> {
        self.changed.wait_timeout(queue, most).unwrap_or_else(PoisonError::into_inner).0
    }

    fn tell_until_stopped(&self) {
        let agent = http::agent(&self.target, Duration::from_secs(self.settings.timeout_seconds.unsigned_abs()));
        let mut told: Option<Instant> = None;
        loop {
            let mut queue = self.lock();
            while !queue.is_stopped && !self.is_due(&queue, told) {
                queue = self.wait(queue, LOOK_AGAIN);
            }
            if queue.is_stopped {
                return;
            }
            let most = if self.keeps_no_state() { usize::MAX } else { AT_ONCE };
            let notices: Vec<Alert> = queue.waiting.iter().take(most).cloned().collect();
            let standing = queue.standing.clone();
            drop(queue);
            let outcome = self.send(&agent, &notices, &standing);
            told = Some(Instant::now());
            if let Some(pause) = self.settle(&notices, outcome) {
                self.pause(pause);
            }
        }
    }

    /// Whether it is told everything that stands, again and again.
    fn keeps_no_state(&self) -> bool {
        self.target.protocol == Protocol::Alertmanager
    }

    fn is_due(&self, queue: &Queue, told: Option<Instant>) -> bool {
        let every = Duration::from_secs(self.settings.resend_seconds.unsigned_abs());
        let is_resend = self.keeps_no_state() && !queue.standing.is_empty() && told.is_none_or(|told| told.elapsed() >= every);
        !queue.waiting.is_empty() || is_resend
    }

    fn send(&self, agent: &Agent, notices: &[Alert], standing: &[Alert]) -> Result<(), Refusal> {
        let target = &self.target;
        match target.protocol {
            Protocol::Alertmanager => {
                let body = messages::alertmanager(standing, target, self.settings.resend_seconds, now_us());
                http::post(agent, target, &body)
            }
            Protocol::Webhook => http::post(agent, target, &messages::webhook(notices, target)),
            Protocol::Slack => http::post(agent, target, &messages::slack(notices, target)),
            Protocol::Stdout => print(notices),
        }
    }

    /// Takes off what was taken; gives how long to wait before the next try.
    fn settle(&self, notices: &[Alert], outcome: Result<(), Refusal>) -> Option<Duration> {
        let name = &self.target.name;
        let mut queue = self.lock();
        let Err(refusal) = outcome else {
            queue.take_off(notices);
            let taken =
                |notice: &Alert| Delivered { fingerprint: notice.fingerprint(), at_us: notice.at_us, target: name.clone() };
            queue.taken.extend(notices.iter().map(taken));
            if queue.failing.take().is_some() {
                tracing::info!("the alert target {name} takes alerts again");
            }
            return None;
        };
        let tries = queue.failing.as_ref().map_or(0, |(_, tries)| *tries) + 1;
        if tries == 1 {
            tracing::warn!("the alert target {name} takes no alerts: {}; they wait, and it is tried again", refusal.reason);
        }
        if refusal.is_final && tries >= TRIES_MOST && !self.keeps_no_state() {
            tracing::error!("the alert target {name} refuses {} alerts: {}; they are given up", notices.len(), refusal.reason);
            queue.fell_off += queue.take_off(notices);
            queue.failing = None;
            return None;
        }
        queue.failing = Some((refusal.reason, tries));
        let (least, most) = (self.settings.retry_seconds_least, self.settings.retry_seconds_most);
        let seconds = least.saturating_mul(1 << tries.saturating_sub(1).min(30)).min(most.max(least));
        Some(Duration::from_secs(seconds.unsigned_abs()))
    }

    /// Waits, unless it is stopped meanwhile; what comes meanwhile does not shorten it.
    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut queue = self.lock();
        while !queue.is_stopped && Instant::now() < until {
            let rest = until.saturating_duration_since(Instant::now());
            queue = self.wait(queue, rest);
        }
    }
}

impl Queue {
    /// Removes notices from the front; some may have fallen off meanwhile.
    fn take_off(&mut self, notices: &[Alert]) -> u64 {
        let mut count = 0;
        for notice in notices {
            if self.waiting.front() == Some(notice) {
                self.waiting.pop_front();
                count += 1;
            }
        }
        count
    }
}

/// Tells one target of a test, now; gives why it did not take it.
///
/// # Errors
///
/// The reason, in a few words.
pub fn test_target(target: &Target, settings: &AlertSettings) -> Result<(), String> {
    let agent = http::agent(target, Duration::from_secs(settings.timeout_seconds.unsigned_abs()));
    let alert = super::test_alert(now_us());
    let tested = Target { least: alert.severity, ..target.clone() };
    let sent = match tested.protocol {
        Protocol::Alertmanager => http::post(&agent, &tested, &messages::alertmanager(&[alert], &tested, 1, now_us())),
        Protocol::Webhook => http::post(&agent, &tested, &messages::webhook(&[alert], &tested)),
        Protocol::Slack => http::post(&agent, &tested, &messages::slack(&[alert], &tested)),
        Protocol::Stdout => print(&[alert]),
    };
    sent.map_err(|refusal| refusal.reason)
}

fn print(notices: &[Alert]) -> Result<(), Refusal> {
    let mut text = String::new();
    for notice in notices {
        text.push_str(&format!("{} {}\n", crate::alert::rfc3339(notice.at_us), notice.line()));
    }
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Refusal { reason: format!("it cannot be written: {}", error.kind()), is_final: false })
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
