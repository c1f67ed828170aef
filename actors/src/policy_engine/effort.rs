//! How much work the patterns of one decision may be. Whoever writes a policy and whoever sends a header can together make a
//! pattern that is tried at every place of a long text; a decision that takes more steps than this is refused, whatever it would
//! have been. Counted for each thread, since a decision is made on one.

use std::cell::Cell;

/// Most steps of one decision: some milliseconds.
const STEPS_MAX: u32 = 500_000;

thread_local! {
    /// Steps that are left to the decision under way; outside of decisions nothing is counted.
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// A decision under way.
#[derive(Debug)]
pub(super) struct Effort {
    _private: (),
}

impl Effort {
    /// A decision begins.
    pub fn begin() -> Self {
        LEFT.set(Some(STEPS_MAX));
        Self { _private: () }
    }

    /// Whether it has taken all its steps, so that what its patterns said does not count.
    pub fn is_spent(&self) -> bool {
        LEFT.get() == Some(0)
    }
}

impl Drop for Effort {
    fn drop(&mut self) {
        LEFT.set(None);
    }
}

/// Takes a step; false once there are none left.
pub(super) fn spend() -> bool {
    let Some(left) = LEFT.get() else { return true };
    let left = left.saturating_sub(1);
    LEFT.set(Some(left));
    left > 0
}
