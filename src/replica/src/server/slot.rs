//! One instance on the server: who may use it when, and what becomes of it when an operation panics.
use super::error::ApiError;
use super::progress::Progress;
use crate::instance::Instance;
use crate::memory;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Why an instance cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There never was one of this id, or it was deleted.
    #[error("instance {id} does not exist or was deleted")]
    Missing {
        /// The id that was asked for.
        id: usize,
    },
    /// An operation panicked, so that nothing is known about the state.
    #[error("instance {id} is broken and has to be deleted, because an operation panicked: {cause}")]
    Broken {
        /// Its id.
        id: usize,
        /// The message of the panic.
        cause: String,
    },
}

/// What a panic carries.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Why an operation on an instance has no result.
pub(crate) enum Failure {
    /// It was not started.
    Unavailable(Unavailable),
    /// It panicked; the instance is broken from now on.
    Panicked(Panic),
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(unavailable) => unavailable.into(),
            Failure::Panicked(panic) => Self::internal(format!(
                "the operation panicked, the instance is broken: {}",
                panic_message(&*panic)
            )),
        }
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_string())
}

enum State {
    Ready(Box<Instance>),
    Broken(String),
    Deleted,
}

/// The place of one instance; it outlives the instance, so that ids are never reused.
pub(crate) struct Slot {
    id: usize,
    /// Requests pass one at a time and in order. Waiting here costs no thread, unlike waiting for `state`.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// The task that makes progress, if it was started.
    pub(crate) progress: tokio::sync::Mutex<Option<Progress>>,
}

impl Slot {
    pub(crate) fn new(id: usize, instance: Instance) -> Self {
        Self {
            id,
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(State::Ready(Box::new(instance))),
            progress: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> usize {
        self.id
    }

    /// Runs an operation on this thread, when nobody else uses the instance.
    pub(crate) fn with<R>(&self, operation: impl FnOnce(&mut Instance) -> R) -> Result<R, Failure> {
        let mut state = self.lock();
        let instance = match &mut *state {
            State::Ready(instance) => instance,
            State::Broken(cause) => {
                let (id, cause) = (self.id, cause.clone());
                return Err(Failure::Unavailable(Unavailable::Broken { id, cause }));
            }
            State::Deleted => return Err(Failure::Unavailable(Unavailable::Missing { id: self.id })),
        };
        // Unwind safe, because nobody gets to see the instance after a panic.
        catch_unwind(AssertUnwindSafe(|| operation(instance))).map_err(|panic| {
            discard(std::mem::replace(&mut *state, State::Broken(panic_message(&*panic))));
            Failure::Panicked(panic)
        })
    }

    /// Does some work when it is its turn: on this thread, since most of it takes less than handing it to another
    /// one, or on one that may block where no worker would be left for other requests. Errors if it panics.
    pub(crate) async fn in_turn<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> R + Send + 'static,
    ) -> Result<R, ApiError> {
        let _turn = self.turn.lock().await;
        if let Some(_busy) = BusyWorker::of_several() {
            // Unwind safe, as in `with`.
            return catch_unwind(AssertUnwindSafe(|| work(self))).map_err(|panic| {
                ApiError::internal(format!("the operation did not end: {}", panic_message(&*panic)))
            });
        }
        let slot = Arc::clone(self);
        let result = tokio::task::spawn_blocking(move || work(&slot)).await;
        result.map_err(|error| ApiError::internal(format!("the operation did not end: {error}")))
    }

    /// Ends the instance, after the operations that came before.
    pub(crate) async fn delete(self: &Arc<Self>) -> Result<(), ApiError> {
        self.in_turn(|slot| match std::mem::replace(&mut *slot.lock(), State::Deleted) {
            State::Deleted => Err(Unavailable::Missing { id: slot.id }.into()),
            state => {
                discard(state);
                memory::give_back();
                Ok(())
            }
        })
        .await?
    }

    /// What a list of instances says of it.
    pub(crate) fn label(&self) -> String {
        if self.turn.try_lock().is_err() {
            return "Busy".to_string();
        }
        match self.state.try_lock().as_deref() {
            Ok(State::Ready(_)) => "Available".to_string(),
            Ok(State::Broken(cause)) => format!("Broken({cause})"),
            Ok(State::Deleted) => "Deleted".to_string(),
            Err(_) => "Busy".to_string(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Panics are caught while the lock is held, hence it is never poisoned by an operation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Workers that execute operations, of all servers of the process.
static BUSY_WORKERS: AtomicUsize = AtomicUsize::new(0);

/// A worker that executes an operation.
struct BusyWorker;

impl BusyWorker {
    /// This thread, unless it is the last worker that is left.
    fn of_several() -> Option<Self> {
        let most = tokio::runtime::Handle::current().metrics().num_workers().saturating_sub(1);
        let is_left = |busy: usize| (busy < most).then_some(busy + 1);
        BUSY_WORKERS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_left).ok().map(|_| Self)
    }
}

impl Drop for BusyWorker {
    fn drop(&mut self) {
        BUSY_WORKERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Drops the state. After a panic it may be inconsistent enough to panic once more.
fn discard(state: State) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(state)));
}
