//! Instances that make progress by themselves: their clock follows the real one and rounds are executed.
use super::error::ApiError;
use super::limits::PROGRESS_PERIOD;
use super::protocol::AutoProgressConfig;
use super::slot::Slot;
use crate::instance::Instance;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The task of one instance. Dropping it ends the task, too, but does not wait for it.
pub(crate) struct Progress {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts it, and returns when the clock was set for the first time. Errors if it is running already.
pub(crate) async fn start(slot: &Arc<Slot>, config: AutoProgressConfig) -> Result<(), ApiError> {
    let mut progress = slot.progress.lock().await;
    if is_running(progress.as_ref()) {
        return Err(ApiError::bad_request("Auto progress mode has already been enabled."));
    }
    let started = Instant::now();
    round(slot, Duration::ZERO).await?;
    let artificial_delay = Duration::from_millis(config.artificial_delay_ms.unwrap_or(0));
    let (stop, stopped) = oneshot::channel();
    let task = run(Arc::clone(slot), started, PROGRESS_PERIOD.max(artificial_delay), stopped);
    *progress = Some(Progress { stop, task: tokio::spawn(task) });
    Ok(())
}

/// Ends it, and returns when it has ended. Nothing happens if it is not running.
pub(crate) async fn stop(slot: &Slot) {
    let progress = slot.progress.lock().await.take();
    if let Some(Progress { stop, task }) = progress {
        // Both fail only if the task has ended before, because the instance is gone or broken.
        let _ = stop.send(());
        let _ = task.await;
    }
}

/// Whether the instance makes progress.
pub(crate) async fn is_enabled(slot: &Slot) -> bool {
    is_running(slot.progress.lock().await.as_ref())
}

fn is_running(progress: Option<&Progress>) -> bool {
    progress.is_some_and(|progress| !progress.task.is_finished())
}

async fn run(slot: Arc<Slot>, mut last: Instant, pause: Duration, mut stopped: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            () = tokio::time::sleep(pause) => {}
        }
        let before = std::mem::replace(&mut last, Instant::now());
        if round(&slot, last.duration_since(before)).await.is_err() {
            return;
        }
    }
}

/// Sets the clock and executes a round.
async fn round(slot: &Arc<Slot>, elapsed: Duration) -> Result<(), ApiError> {
    let work = move |slot: &Slot| {
        slot.with(|instance: &mut Instance| {
            let target_nanos = next_time_nanos(instance.clock_nanos(), elapsed, now_nanos());
            instance.set_time_nanos(target_nanos).map_err(ApiError::bad_request)?;
            instance.tick();
            // A live instance is one that nobody answers for.
            instance.refuse_outcalls();
            Ok(())
        })
    };
    slot.in_turn(work).await??
}

/// The clock follows the real one; one that was set ahead stays ahead by as much and does not stand still.
fn next_time_nanos(current_nanos: u64, elapsed: Duration, real_nanos: u64) -> u64 {
    let elapsed_nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    current_nanos.saturating_add(elapsed_nanos).max(real_nanos)
}

/// The real time, in nanoseconds since the Unix epoch.
pub(crate) fn now_nanos() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_is_set_to_the_real_time() {
        assert_eq!(next_time_nanos(5, Duration::from_nanos(2), 100), 100);
    }

    #[test]
    fn a_clock_that_is_ahead_advances_by_the_elapsed_time() {
        assert_eq!(next_time_nanos(500, Duration::from_nanos(2), 100), 502);
        assert_eq!(next_time_nanos(u64::MAX, Duration::from_nanos(2), 100), u64::MAX);
    }
}
