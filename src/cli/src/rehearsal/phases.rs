//! How long the parts of a rehearsal take.

use serde::Serialize;
use std::time::Instant;

/// A part of a rehearsal and its time.
#[derive(Debug, Clone, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Its wall time.
    pub seconds: f64,
}

/// Measures one part after the other.
pub(crate) struct Stopwatch {
    begun: Instant,
    phases: Vec<Phase>,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), phases: Vec::new() }
    }

    /// Everything since the part before was called so.
    pub(crate) fn lap(&mut self, name: &'static str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.begun = Instant::now();
        self.phases.push(Phase { name, seconds });
    }

    /// All parts.
    pub(crate) fn into_phases(self) -> Vec<Phase> {
        self.phases
    }
}
