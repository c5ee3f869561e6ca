//! Whose turn it is, and what a canister does in its turn.

use crate::costs::limits;
use crate::execution::task::Task;
use crate::instance::Instance;
use crate::state::Subnet;
use crate::state::canister::Turn;
use candid::Principal;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The timers and heartbeats that are due in a round. What is not executed in it is due again in the next.
pub(super) type Tasks = BTreeMap<Principal, VecDeque<Task>>;

impl Instance {
    /// Timers and heartbeats of the canisters whose turn it is to begin with one (code: `initialize_inner_round`).
    pub(super) fn due_tasks(&mut self, subnet: usize) -> Tasks {
        let (now, subnet) = (self.time_nanos, &mut self.subnets[subnet]);
        let index = subnet.index();
        if index.heartbeats.is_empty() && index.timers.first().is_none_or(|(time, _)| *time > now) {
            return Tasks::new();
        }
        let timers: BTreeSet<Principal> =
            index.timers.iter().take_while(|(time, _)| *time <= now).map(|(_, id)| *id).collect();
        let ids: BTreeSet<Principal> = timers.iter().chain(&index.heartbeats).copied().collect();
        ids.into_iter()
            .filter_map(|id| {
                let has_heartbeat = subnet.index().heartbeats.contains(&id);
                let is_hooked = subnet.index().hooks.contains(&id);
                let mut canister = subnet.canister_mut(&id)?;
                if canister.long.is_some() {
                    return None;
                }
                if is_hooked {
                    // The hook has the turn.
                    canister.turns.next = canister.turns.next.next();
                    return None;
                }
                let timer = timers.contains(&id).then_some(Task::Timer);
                let heartbeat = has_heartbeat.then_some(Task::Heartbeat);
                loop {
                    let turn = canister.turns.next;
                    canister.turns.next = turn.next();
                    let tasks = match turn {
                        Turn::Timer if timer.is_some() => [timer, heartbeat],
                        Turn::Heartbeat if heartbeat.is_some() => [heartbeat, timer],
                        Turn::Message if !canister.inbox.is_empty() => return None,
                        // One of the three has its turn: the canister is here for a timer or a heartbeat.
                        _ => continue,
                    };
                    return Some((id, tasks.into_iter().flatten().collect()));
                }
            })
            .collect()
    }

    /// Lets every canister that has something to do have its turn, on several cores, each with `left` instructions.
    /// Answers how many the busiest core used.
    pub(super) fn execute_canisters(&mut self, subnet: usize, tasks: &mut Tasks, left: i64) -> u64 {
        self.cores(subnet, tasks)
            .into_iter()
            .map(|canisters| self.execute_core(subnet, &canisters, tasks, left))
            .max()
            .unwrap_or(0)
    }

    /// The canisters with something to do, in the order of their turns on each core (code: `round_schedule.rs`): who
    /// is in the middle of a long message first, on a core of its own; then who did least.
    fn cores(&mut self, subnet: usize, tasks: &Tasks) -> [Vec<Principal>; limits::CORES] {
        let subnet = &self.subnets[subnet];
        let index = subnet.index();
        if index.ready.is_empty() && index.long.is_empty() && index.hooks.is_empty() && tasks.is_empty() {
            return Default::default();
        }
        let mut long: Vec<Principal> = index.long.iter().copied().collect();
        let others: BTreeSet<Principal> =
            index.ready.iter().chain(&index.hooks).chain(tasks.keys()).copied().collect();
        let mut others: Vec<Principal> = others
            .into_iter()
            .filter(|id| subnet.canister(id).is_some_and(|canister| canister.long.is_none()))
            .collect();
        for canisters in [&mut long, &mut others] {
            // Who changed too much memory pauses.
            canisters.retain(|id| !subnet.is_paused(id, self.round));
            canisters.sort_by_key(|id| subnet.canister(id).map(|canister| canister.turns.full_rounds));
            self.schedule.shuffle(canisters);
            canisters.retain(|_| !self.schedule.passes_over());
        }
        let mut cores: [Vec<Principal>; limits::CORES] = Default::default();
        let reserved = usize::from(!long.is_empty());
        let mut long = long.into_iter();
        cores[0].extend(long.by_ref().take(1));
        let begun = others.len();
        for (place, id) in others.into_iter().enumerate() {
            cores[reserved + place % (limits::CORES - reserved)].push(id);
        }
        for (place, id) in long.enumerate() {
            cores[(begun + reserved + place) % limits::CORES].push(id);
        }
        cores
    }

    /// One canister after the other, each until it has nothing left to do.
    fn execute_core(&mut self, subnet: usize, ids: &[Principal], tasks: &mut Tasks, left: i64) -> u64 {
        let mut spent = 0;
        for (place, id) in ids.iter().enumerate() {
            if spent as i64 >= left {
                break;
            }
            let mut used = 0;
            let mut has_more = true;
            while (spent as i64) < left {
                let was_long = self.subnets[subnet].index().long.contains(id);
                let Some(instructions) = self.execute_step(subnet, *id, tasks) else {
                    has_more = false;
                    break;
                };
                used += instructions;
                spent += instructions + limits::ROUND_MESSAGE_OVERHEAD;
                let is_long = self.subnets[subnet].index().long.contains(id);
                if was_long != is_long {
                    // A slice is a turn, and so is the end of a long message.
                    has_more = false;
                    break;
                }
            }
            if used > 0 {
                spent += limits::ROUND_CANISTER_OVERHEAD;
            }
            if !has_more || place == 0 {
                self.subnets[subnet].count_full_round(id, self.round);
            }
        }
        spent
    }

    /// Executes what a canister has to do next; answers the instructions that it used of this round. `None`: there is
    /// nothing.
    fn execute_step(&mut self, subnet: usize, id: Principal, tasks: &mut Tasks) -> Option<u64> {
        let canister = self.subnets[subnet].canister(&id)?;
        if let Some(long) = &canister.long {
            return if long.is_message() { Some(self.continue_message(subnet, id)) } else { None };
        }
        if self.subnets[subnet].index().hooks.contains(&id)
            && let Some(used) = self.execute_task(subnet, id, Task::LowMemoryHook)
        {
            return Some(used);
        }
        match tasks.get_mut(&id).and_then(VecDeque::pop_front) {
            // A task that can't be paid for has had its turn of this round.
            Some(task) => Some(self.execute_task(subnet, id, task).unwrap_or(0)),
            None => {
                tasks.remove(&id);
                self.execute_next(subnet, id)
            }
        }
    }
}

impl Subnet {
    /// Takes note that a canister did in this round all that it had to do.
    fn count_full_round(&mut self, id: &Principal, round: u64) {
        let Some(mut canister) = self.canister_mut(id) else { return };
        if canister.turns.counted_in != round {
            canister.turns.counted_in = round;
            canister.turns.full_rounds += 1;
            drop(canister);
            self.full_rounds += 1;
        }
    }
}
