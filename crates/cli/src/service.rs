//! What a service manager (systemd) is told: ready, at work, reloading, stopping. Without one, nothing happens.

use sd_notify::NotifyState;

/// The collector listens, and goes on from what an earlier run left.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It drains and writes.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Tells a watchdog that the owner of all windows is at work; one who does not hear it for its time-out restarts us.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}
