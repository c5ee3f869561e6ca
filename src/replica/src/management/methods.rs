//! The methods of the management canister, in the order of its Candid interface (spec 0.66): what each is
//! about, who may call it how, and what executes it. Routing, admission and execution all read this table.

use super::call::{Call, Outcome};
use super::{
    chunks, creation, cycles, info, install, keys, logs, metadata, outcalls, run_state, settings,
    snapshot_data, snapshots, status,
};

/// What in the argument names what the call is about; it decides the subnet that executes the call, and the
/// canister that pays for an ingress message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A canister, field `canister_id`.
    Canister,
    /// A canister, field `target_canister`.
    Target,
    /// A canister that need not exist, optional field `specified_id`.
    Specified,
    /// A subnet, field `subnet_id`.
    Subnet,
    /// Nothing: the caller's subnet.
    Caller,
}

/// Which users may call it by an ingress message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Users {
    /// Controllers of the canister.
    Controllers,
    /// Whom the canister's `status_visibility` names.
    StatusReaders,
    /// Everybody: the provisional methods.
    Everybody,
    /// None: canisters only, or queries only.
    Nobody,
}

/// Which canisters may call it by an inter-canister call; the handler checks control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Canisters {
    /// On any subnet.
    All,
    /// On the subnet that executes it, and on the NNS (code: `Ic00MethodPermissions`).
    OwnSubnet,
    /// None: queries only.
    Nobody,
}

/// A method.
pub(super) struct Method {
    pub(super) name: &'static str,
    pub(super) about: About,
    pub(super) users: Users,
    pub(super) canisters: Canisters,
    /// Whether users may call it as a query.
    pub(super) is_query: bool,
    /// Whether it waits for the next round when the instructions for such calls are used up (code:
    /// `Ic00MethodPermissions::counts_toward_round_limit`).
    pub(super) counts_toward_round: bool,
    /// Whether it installs code (code: `Ic00MethodPermissions::installs_code`).
    pub(super) installs_code: bool,
    /// What executes it; where the replica does not offer it, what to do instead.
    pub(super) run: Result<fn(&mut Call<'_>) -> Outcome, &'static str>,
}

const fn method(
    name: &'static str,
    about: About,
    users: Users,
    canisters: Canisters,
    run: fn(&mut Call<'_>) -> Outcome,
) -> Method {
    Method {
        name,
        about,
        users,
        canisters,
        is_query: false,
        counts_toward_round: false,
        installs_code: false,
        run: Ok(run),
    }
}

const fn missing(name: &'static str, instead: &'static str) -> Method {
    Method {
        name,
        about: About::Caller,
        users: Users::Nobody,
        canisters: Canisters::All,
        is_query: false,
        counts_toward_round: false,
        installs_code: false,
        run: Err(instead),
    }
}

impl Method {
    const fn also_query(self) -> Self {
        Self { is_query: true, ..self }
    }

    const fn heavy(self) -> Self {
        Self { counts_toward_round: true, ..self }
    }

    const fn installing(self) -> Self {
        Self { installs_code: true, ..self.heavy() }
    }
}

use About as A;
use Canisters::{All, OwnSubnet};
use Users::{Controllers, Everybody, Nobody, StatusReaders};

/// What to do instead of asking for Bitcoin.
const BITCOIN_INSTEAD: &str = "install a canister that answers as the Bitcoin canister does, and call that";

static METHODS: &[Method] = &[
    method("create_canister", A::Caller, Nobody, OwnSubnet, creation::create_canister),
    method("update_settings", A::Canister, Controllers, All, settings::update),
    method("upload_chunk", A::Canister, Controllers, All, chunks::upload).heavy(),
    method("clear_chunk_store", A::Canister, Controllers, All, chunks::clear),
    method("stored_chunks", A::Canister, Controllers, All, chunks::list),
    method("install_code", A::Canister, Controllers, All, install::install_code).installing(),
    method("install_chunked_code", A::Target, Controllers, All, install::install_chunked_code).installing(),
    method("uninstall_code", A::Canister, Controllers, All, install::uninstall_code),
    method("start_canister", A::Canister, Controllers, All, run_state::start),
    method("stop_canister", A::Canister, Controllers, All, run_state::stop),
    method("canister_status", A::Canister, StatusReaders, All, status::status).also_query(),
    missing("canister_metrics", "ask for canister_status"),
    method("delete_canister", A::Canister, Controllers, All, run_state::delete),
    method("deposit_cycles", A::Canister, Nobody, All, cycles::deposit),
    method("raw_rand", A::Caller, Nobody, OwnSubnet, super::raw_rand),
    method("http_request", A::Caller, Nobody, All, outcalls::http_request),
    missing("flexible_http_request", "use http_request"),
    method("canister_info", A::Canister, Nobody, All, info::info),
    method("canister_metadata", A::Canister, Nobody, All, metadata::canister_metadata),
    missing("ecdsa_public_key", keys::INSTEAD),
    missing("sign_with_ecdsa", keys::INSTEAD),
    missing("schnorr_public_key", keys::INSTEAD),
    missing("sign_with_schnorr", keys::INSTEAD),
    missing("vetkd_public_key", keys::INSTEAD),
    missing("vetkd_derive_key", keys::INSTEAD),
    missing("bitcoin_get_balance", BITCOIN_INSTEAD),
    missing("bitcoin_get_utxos", BITCOIN_INSTEAD),
    missing("bitcoin_send_transaction", BITCOIN_INSTEAD),
    missing("bitcoin_get_current_fee_percentiles", BITCOIN_INSTEAD),
    missing("bitcoin_get_block_headers", BITCOIN_INSTEAD),
    missing("node_metrics_history", "leave it out: there are no nodes"),
    method("subnet_info", A::Subnet, Nobody, All, metadata::subnet_info),
    method(
        "provisional_create_canister_with_cycles",
        A::Specified,
        Everybody,
        All,
        creation::provisional_create,
    ),
    method("provisional_top_up_canister", A::Canister, Everybody, All, cycles::provisional_top_up),
    method("take_canister_snapshot", A::Canister, Controllers, All, snapshots::take).heavy(),
    method("load_canister_snapshot", A::Canister, Controllers, All, snapshots::load).heavy(),
    method("read_canister_snapshot_metadata", A::Canister, Controllers, All, snapshot_data::read_metadata),
    method("read_canister_snapshot_data", A::Canister, Controllers, All, snapshot_data::read),
    method(
        "upload_canister_snapshot_metadata",
        A::Canister,
        Controllers,
        All,
        snapshot_data::upload_metadata,
    ),
    method("upload_canister_snapshot_data", A::Canister, Controllers, All, snapshot_data::upload),
    method("list_canister_snapshots", A::Canister, Controllers, All, snapshots::list),
    method("delete_canister_snapshot", A::Canister, Controllers, All, snapshots::delete),
    method("fetch_canister_logs", A::Canister, Nobody, Canisters::Nobody, logs::fetch).also_query().heavy(),
    method("list_canisters", A::Caller, Nobody, Canisters::Nobody, metadata::list_canisters).also_query(),
];

/// A method by name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/replica.md`, between these lines.
    const BEGIN: &str = "<!-- management methods: a test compares this with the code -->\n";
    const END: &str = "<!-- end of management methods -->";

    fn row(method: &Method) -> String {
        let users = match method.users {
            Controllers => "controllers",
            StatusReaders => "readers of the status",
            Everybody => "everybody",
            Nobody => "–",
        };
        let canisters = match method.canisters {
            All => "any",
            OwnSubnet => "of the same subnet, of the NNS",
            Canisters::Nobody => "–",
        };
        let query = if method.is_query { "yes" } else { "–" };
        format!("| `{}` | {users} | {canisters} | {query} |\n", method.name)
    }

    /// "Prints the list": what is not offered is listed apart, since it answers with an error that names it.
    fn page() -> String {
        let (offered, missing): (Vec<&Method>, Vec<&Method>) =
            METHODS.iter().partition(|method| method.run.is_ok());
        let instead =
            |method: &Method| format!("| `{}` | {} |\n", method.name, method.run.err().unwrap_or_default());
        format!(
            "| method | users by ingress | canisters | query |\n|---|---|---|---|\n{}\n| not offered | instead \
             |\n|---|---|\n{}",
            offered.into_iter().map(row).collect::<String>(),
            missing.into_iter().map(instead).collect::<String>()
        )
    }

    #[test]
    fn the_documentation_lists_every_method_as_the_table_has_it() {
        let docs = include_str!("../../../../docs/replica.md");
        let listed = docs.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(list, _)| list);
        assert_eq!(listed, Some(page().as_str()), "docs/replica.md should list:\n{}", page());
    }

    #[test]
    fn every_name_is_there_once() {
        let names: std::collections::BTreeSet<&str> = METHODS.iter().map(|method| method.name).collect();
        assert_eq!(names.len(), METHODS.len());
    }
}
