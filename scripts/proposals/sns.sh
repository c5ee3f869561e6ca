#!/usr/bin/env bash
# Shared by register and submit: a proposal to an SNS. Source it after lib.sh.
source scripts/icp.sh

# need_neuron HEX: the id of a neuron, as `subaccount`.
need_neuron() {
  [[ "$1" =~ ^[0-9a-f]{64}$ ]] || fail "--neuron is '$1', and a neuron's id is 64 digits of hexadecimal"
}

# need_number OPTION VALUE
need_number() {
  [[ "$2" =~ ^[0-9]+$ ]] || fail "$1 is '$2' and must be a number"
}

# need_topic TOPIC: one of those that the interface of an SNS names.
need_topic() {
  local topics
  topics=$(sed -n '/^type Topic/,/^};/s/^ *\([A-Za-z]*\);$/\1/p' scripts/proposals/sns_governance.did)
  grep -qx -e "$1" <<<"$topics" || fail "--topic is '$1', and an SNS knows these:" $topics
}

# quoted TEXT: as Candid text.
quoted() {
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# make_proposal GOVERNANCE NEURON TITLE URL SUMMARY ACTION: submits it, and answers what governance said.
make_proposal() {
  cat >"$work/proposal" <<TEXT
(record {
  subaccount = $(bytes "$2");
  command = opt variant { MakeProposal = record {
    title = $(quoted "$3"); url = $(quoted "$4"); summary = $(quoted "$5");
    action = opt variant { $6 };
  } };
})
TEXT
  local reply
  reply=$(icp canister call "$1" manage_neuron --candid scripts/proposals/sns_governance.did \
    --args-file "$work/proposal" "${icp_args[@]}")
  echo "$reply"
  grep -Eq '(^ *|variant \{ )MakeProposal = ' <<<"$reply" ||
    fail "$1 did not take the proposal, and says above why. Nothing was proposed: mend that, and run this again"
}
