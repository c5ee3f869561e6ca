#!/usr/bin/env bash
# Shared by deploy and proposals: icp-cli, and what it needs help with. Source it after lib.sh; `icp_args` is then what
# the operator passes on to it, such as an environment and an identity.
icp_args=()
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fail SENTENCE...: says what happened, to what, and what to do.
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# value_of OPTION [VALUE]: the value, or an error if the command line ends with the option.
value_of() {
  if [ $# -lt 2 ] || [ -z "$2" ]; then
    fail "$1 needs a value: see --help"
  fi
  printf '%s' "$2"
}

need_icp() {
  need icp "npm install -g @icp-sdk/icp-cli"
  # Not into a pipe: grep would close it early.
  local help
  help=$(icp canister call --help)
  if ! grep -q -e --sign-only <<<"$help"; then
    fail "$(icp --version) can't sign a call without sending it: install icp-cli 1.5.0 or later"
  fi
}

# Where the calls go is never left to icp-cli, which takes the local environment if it is not told.
need_target() {
  local argument
  for argument in ${icp_args[@]+"${icp_args[@]}"}; do
    case "$argument" in
      -e | --environment | --environment=* | -n | --network | --network=*) return ;;
    esac
  done
  fail "no network is named: pass on -e ENVIRONMENT of icp.yaml (such as -e ic), or -n NETWORK"
}

# need_governance COORDINATOR GOVERNANCE: whose proposals it executes is said when it is installed, and for good.
need_governance() {
  local summary governing
  summary=$(quietly icp canister call "$1" decant_summary "()" --query \
    --candid canisters/coordinator/coordinator.did "${icp_args[@]}") || summary=''
  governing=$(sed -n 's/.*governance = principal "\([^"]*\)".*/\1/p' <<<"$summary")
  [ -n "$governing" ] ||
    fail "$1 does not say whose proposals it executes: it is no coordinator, or of a build that did not say it yet"
  [ "$governing" = "$2" ] ||
    fail "$1 executes the proposals of $governing, not of $2: name that one, or install another coordinator"
}

# quietly COMMAND...: what it has to say on its way is shown only if it fails.
quietly() {
  if ! "$@" 2>"$work/said"; then
    cat "$work/said" >&2
    return 1
  fi
}

# bytes HEX: the same as Candid text.
bytes() {
  printf 'blob "%s"' "$(printf '%s' "$1" | sed 's/../\\&/g')"
}

# blob FILE: its bytes as Candid text.
blob() {
  bytes "$(od -An -v -tx1 "$1" | tr -d ' \n')"
}

hash_of() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

# encode DID METHOD FILE: the bytes of the Candid text in FILE, as METHOD of the interface takes them. Nothing is sent:
# icp-cli signs a call and says what it has signed.
encode() {
  quietly icp canister call aaaaa-aa "$2" --candid "$1" --args-file "$3" --sign-only - "${icp_args[@]}" >"$work/signed" ||
    fail "$3 can't be encoded as the argument of $2 in $1, see above: mend the text"
  sed -n 's/^ *"arg": "\(.*\)",\{0,1\}$/\1/p' "$work/signed" | base64 --decode
}

# manage CANISTER METHOD FILE: a call of the management canister about a canister, with the Candid text in FILE; answers
# the reply in hexadecimal. Such calls are routed by the canister they are about. icp-cli does that for its own commands,
# not for `icp canister call aaaaa-aa`: so the call is signed, and sent to where it belongs.
manage() {
  quietly icp canister call aaaaa-aa "$2" --args-file "$3" --sign-only - "${icp_args[@]}" >"$work/signed" || return 1
  sed "s/^\( *\"canister\": \)\"aaaaa-aa\"/\1\"$1\"/" "$work/signed" >"$work/routed"
  if ! grep -q "^ *\"canister\": \"$1\"" "$work/routed"; then
    fail "$(icp --version) writes signed messages that this script does not know: use icp-cli 1.5.0"
  fi
  quietly icp message send --yes --output hex "$work/routed"
}
