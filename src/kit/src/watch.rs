//! Whether anybody else ran since a moment, by the platform's own count.
//!
//! A canister's version is guaranteed to be incremented by every change of its code, settings, running status, cycles
//! and memory, that is by every message that succeeds (interface specification, "Canister version"). A message that
//! traps changes neither the version nor this count.

/// Expects a version: that of a canister in which only the kit's own messages ran.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Somebody else ran, or nobody watches.
    #[default]
    Blind,
    /// What the next message of the kit must see.
    Expects(u64),
    /// There is nobody else: the module is nothing but the kit. Whatever puts other code here ends this heap as well.
    Alone,
}

impl Watch {
    /// Watches from the end of the message on that sees this version.
    pub(crate) fn begin(&mut self, version: u64) {
        *self = match self {
            Self::Alone => Self::Alone,
            Self::Blind | Self::Expects(_) => version.checked_add(1).map_or(Self::Blind, Self::Expects),
        };
    }

    /// Nothing is watched any more.
    pub(crate) fn end(&mut self) {
        if *self != Self::Alone {
            *self = Self::Blind;
        }
    }

    /// A message of the kit sees this version. It may say so several times.
    pub(crate) fn saw(&mut self, version: u64) {
        let Self::Expects(expected) = *self else { return };
        *self = match version.checked_add(1) {
            // Or the message that counted last: versions only rise, so none after it sees the same.
            Some(next) if expected == version || expected == next => Self::Expects(next),
            _ => Self::Blind,
        };
    }

    /// Whether nothing but the kit's own messages ran. An increment that nobody here foresaw makes it false: that
    /// costs a second look, never correctness.
    pub(crate) fn is_undisturbed(&self) -> bool {
        *self != Self::Blind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watching(version: u64) -> Watch {
        let mut watch = Watch::default();
        watch.begin(version);
        watch
    }

    #[test]
    fn messages_of_the_kit_alone_do_not_disturb() {
        let mut watch = watching(7);
        for version in [7, 8, 8, 9, 10, 10] {
            watch.saw(version);
            assert!(watch.is_undisturbed(), "at {version}");
        }
    }

    #[test]
    fn a_message_that_nobody_counted_disturbs_for_good() {
        for (counted, seen) in [(vec![], 9), (vec![8, 9], 11), (vec![8], u64::MAX)] {
            let mut watch = watching(7);
            counted.into_iter().for_each(|version| watch.saw(version));
            for version in [seen, seen.saturating_add(1), seen] {
                watch.saw(version);
                assert!(!watch.is_undisturbed());
            }
        }
    }

    #[test]
    fn nobody_vouches_without_having_watched() {
        let mut watch = Watch::default();
        assert!(!watch.is_undisturbed());
        for version in [0, 1, u64::MAX] {
            watch.saw(version);
            assert!(!watch.is_undisturbed());
        }
    }

    #[test]
    fn versions_that_end_are_not_trusted() {
        assert!(!watching(u64::MAX).is_undisturbed());
        let mut watch = watching(u64::MAX - 1);
        watch.saw(u64::MAX);
        assert!(!watch.is_undisturbed());
    }

    #[test]
    fn where_nobody_else_is_nobody_disturbs() {
        let mut watch = Watch::Alone;
        watch.begin(7);
        watch.saw(300);
        watch.end();
        assert!(watch.is_undisturbed());
    }
}
