//! What the kit calls in a dapp.

/// What the kit calls in a dapp. [`export!`](crate::export) makes one of these.
#[derive(Debug, Clone, Copy)]
pub struct Hooks {
    /// Brings the state into stable memory: the body of `pre_upgrade`. May take it off the heap; called more than once.
    pub save: fn(),
    /// Reads the state out of stable memory, which it leaves as it is: the body of `post_upgrade`. Called on a source too,
    /// directly after `save`. Arms timers if the dapp has any: they fire when the fence opens.
    pub load: fn(),
    /// The dapp's own counts and sums over its state, the same before `save` and after `load`.
    pub fingerprint: fn() -> Vec<u8>,
}
