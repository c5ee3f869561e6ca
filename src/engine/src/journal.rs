//! The journal of a job makes the job.

use crate::{Entry, IllegalTransition, Job, apply};

/// An entry that doesn't follow from those before it: the journal is damaged, or of another job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {position} of the journal doesn't follow from those before it: {source}")]
pub struct ReplayError {
    /// Position of the entry, from 0.
    pub position: usize,
    /// Why.
    pub source: IllegalTransition,
}

/// The job that `enrolled`, as [`Job::new`] made it, became by these entries.
///
/// # Errors
/// At the first entry that doesn't follow from those before it.
pub fn replay<'a>(
    mut enrolled: Job,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<Job, ReplayError> {
    for (position, entry) in entries.into_iter().enumerate() {
        apply(&mut enrolled, entry.event.clone(), entry.at_nanos)
            .map_err(|source| ReplayError { position, source })?;
    }
    Ok(enrolled)
}
