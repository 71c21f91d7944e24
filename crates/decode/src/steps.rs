//! A count of the steps that decoding takes, in test builds only: its proof that work is linear.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Counts steps; costs nothing outside of tests.
#[inline(always)]
pub(crate) fn count(_steps: usize) {
    #[cfg(test)]
    STEPS.set(STEPS.get() + _steps);
}

/// Begins anew.
#[cfg(test)]
pub(crate) fn start() {
    STEPS.set(0);
}

/// Steps since the start.
#[cfg(test)]
pub(crate) fn taken() -> usize {
    STEPS.get()
}
