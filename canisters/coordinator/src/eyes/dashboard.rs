//! `/dashboard`: one page without a script. What is asked of an operator comes first, with the command that does it.

use super::asks::{Ask, asks};
use super::escape::html;
use super::picture::{Picture, PlanPicture};
use super::words::{counted, cycles, moment, number, pages, span};
use super::{chart, style};
use crate::store::Level;
use std::fmt::Write;

/// Seconds after which a browser asks again.
const REFRESH_SECONDS: u32 = 30;
/// Days of a hundred years, behind which a number of days says nothing.
const LONG_DAYS: u64 = 36_525;

/// The page.
pub(super) fn text(now: &Picture) -> String {
    let asked = asks(now);
    let title = match asked.len() {
        0 => "Decant".to_owned(),
        count => format!("({count}) Decant"),
    };
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\"><title>{title}</title>\
         <style>{style}</style></head><body><main>{head}{asked}{figures}{chart}{plans}{jobs}{log}{foot}</main></body></html>\n",
        style = style::TEXT,
        head = head(now),
        asked = asked_of(&asked),
        figures = figures(now),
        chart = section("Memory given back", &chart::text(now)),
        plans = plans(now),
        jobs = jobs(now),
        log = log(now),
        foot = foot(now),
    )
}

fn section(title: &str, body: &str) -> String {
    format!("<section><h2>{title}</h2>{body}</section>")
}

fn head(now: &Picture) -> String {
    format!(
        "<h1>Decant</h1><p class=\"soft\">Coordinator {} · {} · told by one node, not certified</p>",
        html(&now.own.to_text()),
        moment(now.now_nanos)
    )
}

fn asked_of(asked: &[Ask]) -> String {
    let mut text = match asked.len() {
        0 => return "<p class=\"well\" id=\"asked\">Nothing is asked of you.</p>".to_owned(),
        1 => "<p class=\"asked\" id=\"asked\">One thing is asked of you.</p>".to_owned(),
        count => format!(
            "<p class=\"asked\" id=\"asked\">{count} things are asked of you, the most urgent first.</p>"
        ),
    };
    for ask in asked {
        let details: String = ask.details.iter().map(|detail| format!("<li>{}</li>", html(detail))).collect();
        let details = if details.is_empty() { details } else { format!("<ul>{details}</ul>") };
        let commands: String = ask
            .commands
            .iter()
            .map(|(label, command)| {
                format!("<p class=\"do\">{}:</p><pre>{}</pre>", html(label), html(command))
            })
            .collect();
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "<article class=\"ask\"><h3>{}</h3><p>{}</p>{details}{commands}</article>",
            html(&ask.title),
            html(&ask.what)
        );
    }
    text
}

fn figures(now: &Picture) -> String {
    let runway = match now.runway_days {
        None => "not known yet".to_owned(),
        Some(days) if days > LONG_DAYS => "more than 100 years".to_owned(),
        Some(days) => counted(days, "day"),
    };
    let progress = now
        .progress_nanos
        .map_or("none yet".to_owned(), |at| format!("{} ago", span(now.now_nanos.saturating_sub(at))));
    let all = [
        ("done", number(now.all.done)),
        ("rolled back", number(now.all.rolled_back)),
        ("working", number(now.working)),
        ("kept, or waiting for others", number(now.waiting)),
        ("parked", number(now.parked)),
        ("in line", number(now.queued)),
        ("given back", pages(now.all.pages_given_back())),
        ("cycles spent by the coordinator", cycles(now.spent_cycles)),
        ("cycles to spend", cycles(now.liquid_cycles)),
        ("runway", runway),
        ("last progress", progress),
    ];
    let all: String = all.iter().map(|(name, value)| format!("<div><b>{value}</b>{name}</div>")).collect();
    format!("<div class=\"figures\">{all}</div>")
}

fn plans(now: &Picture) -> String {
    let plans: String = now.plans.iter().map(plan).collect();
    match plans.is_empty() {
        true => section("Plans", "<p>No plan is approved.</p>"),
        false => section("Plans, the latest first", &plans),
    }
}

fn plan(plan: &PlanPicture) -> String {
    let tally = &plan.tally;
    let ended = tally.done.saturating_add(tally.rolled_back);
    format!(
        "<article class=\"plan\"><h3>{id}: {title}</h3>\
         <p class=\"soft\">{strategy} · {enrolled} of at most {most} enrolled</p>\
         <progress max=\"{max}\" value=\"{ended}\">{ended} of {enrolled}</progress>\
         <p>{done} done, {rolled_back} rolled back, {working} working, {waiting} waiting, {parked} parked, {queued} in line. \
         {given} given back, {spent} of {may} cycles of the coordinator spent; canisters pay for their own snapshots and \
         upgrades besides.</p></article>",
        id = plan.id,
        title = html(&tally.title),
        strategy = html(&tally.strategy),
        enrolled = plan.enrolled,
        most = tally.max_canisters,
        max = plan.enrolled.max(ended).max(1),
        done = tally.done,
        rolled_back = tally.rolled_back,
        working = plan.working,
        waiting = plan.waiting,
        parked = plan.parked,
        queued = plan.queued,
        given = pages(tally.pages_given_back()),
        spent = cycles(plan.spent_cycles),
        may = cycles(plan.max_cycles),
    )
}

fn jobs(now: &Picture) -> String {
    let rows: String = now
        .states
        .iter()
        .map(|(strategy, state, count)| {
            format!("<tr><td>{state}</td><td>{strategy}</td><td class=\"count\">{count}</td></tr>")
        })
        .collect();
    let states = match rows.is_empty() {
        true => "<p>No job is on its way.</p>".to_owned(),
        false => format!(
            "<table><thead><tr><th>state</th><th>strategy</th><th class=\"count\">jobs</th></tr></thead>\
             <tbody>{rows}</tbody></table>"
        ),
    };
    let rows: String = now
        .groups
        .iter()
        .map(|group| {
            format!(
                "<tr><td>{}</td><td>{}: {}</td><td class=\"count\">{}</td></tr>",
                group.standing.name(),
                html(&group.code),
                html(group.text),
                group.count
            )
        })
        .collect();
    let reasons = match rows.is_empty() {
        true => String::new(),
        false => section(
            "Reasons of jobs on their way",
            &format!(
                "<table><thead><tr><th>they are</th><th>because</th><th class=\"count\">jobs</th></tr></thead>\
                 <tbody>{rows}</tbody></table>"
            ),
        ),
    };
    format!("{}{reasons}", section("Jobs on their way, by state", &states))
}

fn log(now: &Picture) -> String {
    let rows: String = now
        .lines
        .iter()
        .map(|(_, line)| {
            let class = if line.level == Level::Info { "" } else { line.level.name() };
            format!(
                "<tr><td class=\"soft\">{}</td><td class=\"{class}\">{}</td></tr>",
                moment(line.at_nanos),
                html(&line.text)
            )
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => section("Latest changes", &format!("<table><tbody>{rows}</tbody></table>")),
    }
}

fn foot(now: &Picture) -> String {
    format!(
        "<p class=\"soft\">Plans are approved by {}. Figures for tools: <a href=\"/metrics\">/metrics</a>; lines: \
         <a href=\"/logs\">/logs</a>. Stable memory {}, pool {}.</p>",
        html(&now.governance.to_text()),
        pages(now.stable_bytes / 65_536),
        counted(now.pool, "canister")
    )
}
