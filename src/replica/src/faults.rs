//! What goes wrong on purpose: the things that a healthy network never shows.

use crate::state::calls::Callback;
use crate::state::{Origin, Request, Response};
use candid::Principal;

/// A call, as rules for faults see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallView {
    /// Who calls.
    pub caller: Principal,
    /// Who is called.
    pub callee: Principal,
    /// The method.
    pub method: String,
    /// Whether the caller waits only for a bounded time.
    pub is_best_effort: bool,
    /// Whether this is the response to the call rather than the call.
    pub is_response: bool,
    /// The round.
    pub round: u64,
}

impl CallView {
    pub(crate) fn of_request(request: &Request, round: u64) -> Self {
        let is_best_effort = matches!(request.origin, Origin::Canister { deadline_nanos: Some(_), .. });
        Self {
            caller: request.sender,
            callee: request.receiver,
            method: request.method.clone(),
            is_best_effort,
            is_response: false,
            round,
        }
    }

    pub(crate) fn of_response(response: &Response, callback: &Callback, round: u64) -> Self {
        Self {
            caller: response.originator,
            callee: response.respondent,
            method: callback.method.clone(),
            is_best_effort: callback.deadline_nanos.is_some(),
            is_response: true,
            round,
        }
    }
}

/// Decides which calls a fault hits. It is asked once for every call and may count.
type Rule = Box<dyn FnMut(&CallView) -> bool + Send>;
/// Runs between two messages.
type Hook<I> = Box<dyn FnMut(&mut I, &CallView) + Send>;

/// The faults of an instance `I`. All are off until a rule is given.
pub struct Faults<I> {
    lose_reply: Option<Rule>,
    reject_transiently: Option<Rule>,
    trap_callback: Option<Rule>,
    pub(crate) hook: Option<Hook<I>>,
    injected: u64,
}

impl<I> Default for Faults<I> {
    fn default() -> Self {
        Self { lose_reply: None, reject_transiently: None, trap_callback: None, hook: None, injected: 0 }
    }
}

impl<I> Faults<I> {
    /// The callee of a best-effort call executes it, and the caller gets `SYS_UNKNOWN` instead of the
    /// reply; cycles that came back with it are lost (spec, "Bounded-wait calls"). Other calls are safe.
    pub fn lose_replies(&mut self, rule: impl FnMut(&CallView) -> bool + Send + 'static) {
        self.lose_reply = Some(Box::new(rule));
    }

    /// The call is rejected with `SYS_TRANSIENT` before it reaches its callee.
    pub fn reject_transiently(&mut self, rule: impl FnMut(&CallView) -> bool + Send + 'static) {
        self.reject_transiently = Some(Box::new(rule));
    }

    /// The callback that handles the response traps; its cleanup runs.
    pub fn trap_callbacks(&mut self, rule: impl FnMut(&CallView) -> bool + Send + 'static) {
        self.trap_callback = Some(Box::new(rule));
    }

    /// Runs `hook` before every message between canisters or from a user, and before every response. It may
    /// change the instance: upgrade or stop a canister, take its cycles. Messages that it causes to be
    /// executed do not run it again.
    pub fn before_messages(&mut self, hook: impl FnMut(&mut I, &CallView) + Send + 'static) {
        self.hook = Some(Box::new(hook));
    }

    /// Removes all rules and the hook.
    pub fn clear(&mut self) {
        *self = Self { injected: self.injected, ..Self::default() };
    }

    /// Faults injected so far.
    pub fn injected(&self) -> u64 {
        self.injected
    }

    pub(crate) fn loses_reply(&mut self, view: &CallView) -> bool {
        view.is_best_effort && decide(&mut self.lose_reply, &mut self.injected, view)
    }

    pub(crate) fn rejects(&mut self, view: impl FnOnce() -> CallView) -> bool {
        self.reject_transiently.is_some() && decide(&mut self.reject_transiently, &mut self.injected, &view())
    }

    pub(crate) fn traps_callback(&mut self, view: &CallView) -> bool {
        decide(&mut self.trap_callback, &mut self.injected, view)
    }
}

fn decide(rule: &mut Option<Rule>, injected: &mut u64, view: &CallView) -> bool {
    let hits = rule.as_mut().is_some_and(|rule| rule(view));
    *injected += u64::from(hits);
    hits
}
