# shellcheck shell=bash
# Shared by the scripts: strict mode, the root of the repository, and what must be there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# need COMMAND HOW_TO_INSTALL: stops with the command that installs what is missing.
need() {
  if ! command -v "$1" >/dev/null 2>&1; then
    echo "error: '$1' is missing. Install it with: $2" >&2
    exit 1
  fi
}

# The toolchain that rust-toolchain.toml pins, with what the workspace needs of it.
need_toolchain() {
  need rustup "see https://rustup.rs"
  need cc "apt-get install gcc (or your system's C compiler)"
  local channel
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  if ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
    # A machine may have the version under the name of a channel, and no way to download it again.
    if [ "$(rustc +stable --version 2>/dev/null | cut -d' ' -f2)" = "$channel" ]; then
      export RUSTUP_TOOLCHAIN=stable
    else
      rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy || {
        echo "error: Rust $channel is missing. Install it with: rustup toolchain install $channel" >&2
        exit 1
      }
    fi
  fi
  # Also for what starts Cargo from another folder.
  export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN:-$channel}
  local installed
  installed=$(rustup target list --installed)
  if ! grep -q wasm32-unknown-unknown <<<"$installed"; then
    rustup target add wasm32-unknown-unknown || {
      echo "error: the wasm target is missing. Install it with: rustup target add wasm32-unknown-unknown" >&2
      exit 1
    }
  fi
}
