//! What is asked of somebody's canisters, and what their users write.

use crate::candid_text;
use anyhow::{Context, bail};
use candid::Principal;
use std::path::Path;

/// Queries whose answers must be the same, and updates that users send meanwhile.
#[derive(Debug, Clone, Default)]
pub struct Asks {
    lines: Vec<Ask>,
}

/// A line of the file.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// As it was written, for complaints.
    pub(super) text: String,
    pub(super) line: usize,
    is_update: bool,
    /// The canisters of this name; nobody's: all.
    of: Option<String>,
    pub(super) sender: Principal,
    pub(super) method: String,
    pub(super) argument: Vec<u8>,
}

impl Asks {
    /// Reads a file.
    ///
    /// # Errors
    /// A line is none of those that there are: the error names it.
    pub fn read(path: &Path, names: &[&str]) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::of(&text, names).with_context(|| format!("{}", path.display()))
    }

    fn of(text: &str, names: &[&str]) -> anyhow::Result<Self> {
        let mut lines = Vec::new();
        let (mut of, mut sender) = (None, Principal::anonymous());
        for (index, text) in text.lines().enumerate() {
            let (line, text) = (index + 1, text.trim());
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                if !names.contains(&name) {
                    bail!("line {line}: there is no canister {name}, but {}", names.join(", "));
                }
                of = Some(name.to_owned());
                continue;
            }
            let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
            let is_update = match word {
                "query" => false,
                "update" => true,
                "as" => {
                    let id = Principal::from_text(rest.trim());
                    sender = id.with_context(|| format!("line {line}: {rest:?} is no principal"))?;
                    continue;
                }
                _ => bail!(
                    "line {line}: {word:?} is neither `query METHOD (ARGS)`, `update METHOD (ARGS)`, `as PRINCIPAL` nor \
                     `[NAME]`"
                ),
            };
            let Some((method, argument)) = rest.split_once('(') else {
                bail!(
                    "line {line}: the arguments are missing, in parentheses: `{text} ()` if there are none"
                );
            };
            let argument = candid_text::encode(&format!("({argument}"))
                .map_err(|wrong| anyhow::anyhow!("line {line}: {}", wrong.what))?;
            let (of, method) = (of.clone(), method.trim().to_owned());
            lines.push(Ask { text: text.to_owned(), line, is_update, of, sender, method, argument });
        }
        Ok(Self { lines })
    }

    /// Queries of a canister.
    pub(super) fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Ask> {
        self.of_canister(name).filter(|ask| !ask.is_update)
    }

    /// What users of a canister write, one after the other.
    pub(super) fn updates<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Ask> {
        self.of_canister(name).filter(|ask| ask.is_update)
    }

    fn of_canister<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Ask> {
        self.lines.iter().filter(move |ask| ask.of.as_deref().is_none_or(|of| of == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# all
query version ()

[ledger]
as uuc56-gyb
update transfer (principal \"aaaaa-aa\", 1 : nat, null)
query balance_of (principal \"aaaaa-aa\")
";

    #[test]
    fn lines_are_of_all_canisters_or_of_one_and_of_whom_they_say() {
        let asks = Asks::of(TEXT, &["ledger", "other"]).expect("it is right");
        let methods = |asks: &mut dyn Iterator<Item = &Ask>| -> Vec<String> {
            asks.map(|ask| ask.method.clone()).collect()
        };
        assert_eq!(methods(&mut asks.queries("ledger")), ["version", "balance_of"]);
        assert_eq!(methods(&mut asks.updates("ledger")), ["transfer"]);
        assert_eq!(methods(&mut asks.queries("other")), ["version"]);
        let senders: Vec<Principal> = asks.queries("ledger").map(|ask| ask.sender).collect();
        assert_eq!(senders[0], Principal::anonymous());
        assert_eq!(senders[1].to_text(), "uuc56-gyb");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, words) in [
            ("query version", "line 1: the arguments are missing"),
            ("\nask version ()", "line 2: \"ask\" is neither"),
            ("[nobody]", "line 1: there is no canister nobody, but ledger"),
            ("as nobody", "line 1: \"nobody\" is no principal"),
            ("query version (1 : nat9)", "line 1: \"nat9\" is no type"),
        ] {
            let refused = format!("{:#}", Asks::of(text, &["ledger"]).expect_err(text));
            assert!(refused.contains(words), "{refused}");
        }
    }
}
