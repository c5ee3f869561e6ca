# shellcheck shell=bash
# Shared by the scripts that build for minutes: builds side by side, and how far each of them is. On a terminal that is
# one line, redrawn; elsewhere a line a step. Source it after lib.sh.
builds=() build_pids=() build_logs=$(mktemp -d)
trap 'end_builds' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What an interrupted script leaves running builds on unseen, and holds Cargo's locks.
end_builds() {
  local pid
  for pid in ${build_pids[@]+"${build_pids[@]}"}; do
    pkill -P "$pid" 2>/dev/null || true
    kill "$pid" 2>/dev/null || true
  done
  rm -rf "$build_logs"
}

# begin_build NAME COMMAND...: starts it in the background. Its log is what tells how far it is: Cargo's own count of
# crates, or lines that begin with "== ".
begin_build() {
  CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=100 "${@:2}" </dev/null >"$build_logs/$1" 2>&1 &
  builds+=("$1") build_pids+=($!)
}

# The last step in the log of a build; of crates without a terminal only each fiftieth.
step_of() {
  tail -c 2000 "$build_logs/$1" | tr '\r' '\n' |
    sed -n -e 's/^ *Building \[[=> ]*\] \([0-9]*\)\/\([0-9]*\).*/crate \1 of \2/p' -e 's/^== //p' | tail -n 1
}

# The log of a build that failed, without what only showed how far it was.
what_went_wrong() {
  tr '\r' '\n' <"$build_logs/$1" |
    grep -v -E '^ *(Building \[|(Compiling|Checking|Downloading|Downloaded|Locking|Updating|Blocking) )' >&2 || true
}

# finish_builds: shows how far they are until all have ended; ends the script with the errors of the first that failed.
finish_builds() {
  local line said='' i is_running step pid status
  while :; do
    line='' is_running=''
    for i in "${!builds[@]}"; do
      pid=${build_pids[$i]}
      [ -n "$pid" ] || continue
      if kill -0 "$pid" 2>/dev/null; then
        is_running=yes
        step=$(step_of "${builds[$i]}")
        line+="${line:+ | }${builds[$i]}: ${step:-starts}"
        continue
      fi
      status=0
      wait "$pid" || status=$?
      build_pids[i]=''
      if [ "$status" != 0 ]; then
        [ ! -t 1 ] || printf '\r\033[K'
        what_went_wrong "${builds[$i]}"
        echo "error: the build of ${builds[$i]} failed, see above" >&2
        exit 1
      fi
      [ -t 1 ] || echo "[${SECONDS} s] ${builds[$i]}: built"
    done
    [ -n "$is_running" ] || break
    if [ -t 1 ]; then
      # Not wider than the terminal, so that it can be redrawn.
      printf '\r\033[K%.*s' "$((${COLUMNS:-$(tput cols 2>/dev/null || echo 80)} - 1))" "[${SECONDS} s] $line"
    else
      # Of the crates each tenth part of them is a step.
      step=$(sed -E 's/crate ([0-9]*)[0-9] of/crate \10 of/g' <<<"$line")
      [ "$step" = "$said" ] || echo "[${SECONDS} s] $line"
      said=$step
    fi
    sleep 0.5
  done
  [ ! -t 1 ] || printf '\r\033[K'
  builds=() build_pids=()
}
