//! Who may call what: one table a canister, from which `inspect_message` and a guard for each method are made, so that
//! whoever may not is refused before anything is decoded.
//!
//! ```text
//! decant_kit::methods! { Who;
//!     update decant_swap: Coordinator, 1_000;
//!     query  route:       AnybodyAsQuery, 1_000;
//! }
//!
//! #[inspect_message]
//! fn inspect() {
//!     decant_kit::access::inspect(METHODS);
//! }
//!
//! #[update(guard = "access::decant_swap")]
//! fn decant_swap(args: SwapArgs) -> Result<(), SwapError> { .. }
//! ```
//!
//! Ingress that `inspect_message` refuses costs a canister nothing; what a stranger's canister sends costs it a message
//! that looks at its caller and ends.

use candid::Principal;
use ic_cdk::api::{accept_message, msg_arg_data, msg_caller, msg_method_name};

#[cfg(test)]
mod tests;

/// How a method is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It changes nothing. As ingress that is executed by the whole subnet, and paid for, it is for those alone who may
    /// steer the canister: see [`Rule::may_send`].
    Query,
    /// It may change something.
    Update,
}

/// A method, who may call it, and with how much.
#[derive(Debug, Clone, Copy)]
pub struct Method<Who> {
    /// Its name.
    pub name: &'static str,
    /// How it is exported.
    pub kind: Kind,
    /// Who may call it.
    pub who: Who,
    /// Bytes that its argument may have.
    pub max_bytes: usize,
}

/// What a canister knows of those who may call it.
pub trait Rule: Copy {
    /// Whether `caller` may call a method that is for these.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn allows(self, caller: Principal) -> Result<(), String>;

    /// Whether `caller` may send a query as an update call.
    ///
    /// # Errors
    /// Why not, and what to do.
    fn may_send(caller: Principal) -> Result<(), String>;
}

impl<Who: Rule> Method<Who> {
    /// For the method's guard: the caller, then the size of the argument.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn guard(&self) -> Result<(), String> {
        self.who.allows(msg_caller())?;
        self.check_size(msg_arg_data().len())
    }

    fn check_size(&self, bytes: usize) -> Result<(), String> {
        match bytes <= self.max_bytes {
            true => Ok(()),
            false => Err(format!("{bytes} bytes exceed the {} that {} takes", self.max_bytes, self.name)),
        }
    }

    fn check_ingress(&self, caller: Principal, bytes: usize) -> Result<(), String> {
        match self.kind {
            Kind::Update => self.who.allows(caller)?,
            Kind::Query => Who::may_send(caller)?,
        }
        self.check_size(bytes)
    }
}

/// For `inspect_message`: takes what the table allows, and refuses all else with the reason. As always it is a filter,
/// not a check: other canisters' calls do not pass it, so each method has its guard.
pub fn inspect<Who: Rule>(methods: &[Method<Who>]) {
    match check(methods, &msg_method_name(), msg_caller(), msg_arg_data().len()) {
        Ok(()) => accept_message(),
        Err(refusal) => ic_cdk::trap(refusal),
    }
}

fn check<Who: Rule>(
    methods: &[Method<Who>],
    name: &str,
    caller: Principal,
    bytes: usize,
) -> Result<(), String> {
    let method = methods.iter().find(|method| method.name == name);
    method.ok_or_else(|| format!("{name} takes no ingress"))?.check_ingress(caller, bytes)
}

/// For a test: what of an interface, as Candid text, is not in the table or is there as another kind, and what is in the
/// table alone.
pub fn differences<Who: Copy>(methods: &[Method<Who>], interface: &str) -> Vec<String> {
    let exported = exported(interface);
    let rows: Vec<_> = methods.iter().map(|method| (method.name.to_owned(), method.kind)).collect();
    let missing = exported.iter().filter(|method| !rows.contains(method));
    let too_many = rows.iter().filter(|row| !exported.contains(row));
    missing
        .map(|it| format!("not in the table: {it:?}"))
        .chain(too_many.map(|it| format!("not exported: {it:?}")))
        .collect()
}

/// The methods of a service, which come last in its interface: one a semicolon that is in no block of its own.
fn exported(interface: &str) -> Vec<(String, Kind)> {
    let plain: Vec<&str> = interface.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let plain = plain.join(" ");
    let service = plain.split_once("service :").map(|(_, service)| service.trim_start());
    let body = service.and_then(|it| it.strip_prefix('{').or_else(|| Some(it.split_once("-> {")?.1)));
    let mut methods = vec![String::new()];
    let mut depth = 0;
    for letter in body.unwrap_or_default().chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ';' if depth == 0 => methods.push(String::new()),
            _ => {}
        }
        if let Some(method) = methods.last_mut().filter(|_| letter != ';' && depth >= 0) {
            method.push(letter);
        }
    }
    methods
        .iter()
        .filter_map(|method| method.split_once(':'))
        .map(|(name, kind)| {
            let is_query = kind.trim_end().ends_with("query");
            let name = name.trim().trim_matches('"').to_owned();
            (name, if is_query { Kind::Query } else { Kind::Update })
        })
        .collect()
}

/// The table of a canister: `METHODS`, and for each method a guard of its name. See [`access`](crate::access).
#[macro_export]
macro_rules! methods {
    ($who:ident; $($kind:ident $name:ident: $rule:ident, $max_bytes:expr;)+) => {
        /// Every method.
        pub(crate) const METHODS: &[$crate::access::Method<$who>] = &[
            $($crate::methods!(@row $who, $kind, $name, $rule, $max_bytes)),+
        ];

        $(
            pub(crate) fn $name() -> Result<(), String> {
                const METHOD: $crate::access::Method<$who> =
                    $crate::methods!(@row $who, $kind, $name, $rule, $max_bytes);
                METHOD.guard()
            }
        )+
    };
    (@row $who:ident, $kind:ident, $name:ident, $rule:ident, $max_bytes:expr) => {
        $crate::access::Method {
            name: stringify!($name),
            kind: $crate::methods!(@kind $kind),
            who: $who::$rule,
            max_bytes: $max_bytes,
        }
    };
    (@kind query) => { $crate::access::Kind::Query };
    (@kind update) => { $crate::access::Kind::Update };
}
