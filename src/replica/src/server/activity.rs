//! When the server was last used: one that was started for a client ends some time after it.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The requests that are being handled, and when the last one was done.
pub(crate) struct Activity {
    pending: AtomicUsize,
    last: Mutex<Instant>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { pending: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }
}

impl Activity {
    /// A request begins; it ends when the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Pending {
        self.pending.fetch_add(1, Ordering::SeqCst);
        Pending(Arc::clone(self))
    }

    /// How long nobody has asked for anything.
    pub(crate) fn idle_for(&self) -> Duration {
        if self.pending.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// A request that is being handled.
pub(crate) struct Pending(Arc<Activity>);

impl Drop for Pending {
    fn drop(&mut self) {
        // In this order, so that nobody sees the time of an older request and none pending.
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.pending.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_never_idle_while_a_request_is_handled() {
        let activity = Arc::new(Activity::default());
        let (one, other) = (activity.begin(), activity.begin());
        drop(one);
        assert_eq!(activity.idle_for(), Duration::ZERO);
        drop(other);
        while activity.idle_for() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
        drop(activity.begin());
        assert!(activity.idle_for() < Duration::from_secs(60));
    }
}
