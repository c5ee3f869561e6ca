//! Rehearsals in which something goes wrong on purpose: each kind of fault once, in the middle of the jobs.

use crate::engine::Engine;
use crate::rehearsal::faults::Fault;
use crate::rehearsal::{self, Modules, Options, Report, Silent, Strategy};
use anyhow::Context;

/// The call that is hit, of those that are made for all jobs: in the middle of the first ones.
const NTH: u32 = 12;
/// The same of those whose reply can be lost. They are few, and a repack waits for all of its replies.
const NTH_LOST: u32 = 1;
/// Columns of a fault, and of each figure.
const COLUMNS: [usize; 2] = [34, 14];

/// Rehearses every strategy with every fault; answers whether all is well.
///
/// # Errors
/// A rehearsal could not be run to its end.
pub fn run(engine: &Engine, modules: &Modules, strategies: &[Options]) -> anyhow::Result<bool> {
    let mut is_well = true;
    let mut printed = line(["", "strategy", "done", "lost", "went back"]);
    let mut complaints = String::new();
    for options in strategies {
        for fault in Fault::ALL {
            let nth = if fault == Fault::ReplyLost { NTH_LOST } else { NTH };
            let (report, has_happened) =
                rehearsal::rehearse_with_fault(engine, modules, options, fault, nth, &mut Silent)
                    .with_context(|| format!("when {}", fault.name()))?;
            // What a fault sends back is as it was, and goes again: that is well.
            let may_not_happen = fault == Fault::ReplyLost && options.strategy == Strategy::Repack;
            is_well &= report.has_kept_all() && (has_happened || may_not_happen);
            printed += &row(fault, &report);
            let not_met = (!has_happened).then(|| match may_not_happen {
                true => "it can't happen: a repack waits for its replies".to_owned(),
                false => "it did not happen: there are too few calls".to_owned(),
            });
            for complaint in report.complaints.iter().chain(&not_met) {
                complaints += &format!("  ! {}, {}: {complaint}\n", report.strategy, fault.name());
            }
        }
    }
    let verdict = match is_well {
        true => "All is well: nothing was lost, whatever went wrong.",
        false => "NOT all is well: see above.",
    };
    crate::print(&format!("{printed}{complaints}\n{verdict}\n"))?;
    Ok(is_well)
}

fn row(fault: Fault, report: &Report) -> String {
    let done = format!("{} of {}", report.relocated, report.canisters);
    line([fault.name(), &report.strategy, &done, &report.lost.to_string(), &report.rolled_back.to_string()])
}

fn line(cells: [&str; 5]) -> String {
    let [name_columns, columns] = COLUMNS;
    let figures: String = cells[1..].iter().map(|cell| format!("{cell:>columns$}")).collect();
    format!("  {:<name_columns$}{figures}\n", cells[0])
}
