//! Memory given back over time, as a picture without a script. The labels are text of the page, so that they are read on a
//! phone as well.

use super::picture::Picture;
use super::words::{moment, pages};
use std::fmt::Write;

/// Size of the picture in units of its own; it is stretched to the page.
const WIDTH: u64 = 1_000;
const HEIGHT: u64 = 200;

/// The chart, or why there is none.
pub(super) fn text(now: &Picture) -> String {
    let most = now.history.iter().map(|(_, tally)| tally.pages_given_back()).max().unwrap_or_default();
    let (Some((start_nanos, _)), true) = (now.history.first(), most > 0) else {
        return "<p>No job has given memory back yet.</p>".to_owned();
    };
    let span_nanos = now.now_nanos.saturating_sub(*start_nanos).max(1);
    let mut line = String::new();
    for (at_nanos, tally) in &now.history {
        let x = scaled(at_nanos.saturating_sub(*start_nanos), span_nanos, WIDTH);
        let y = HEIGHT - scaled(tally.pages_given_back(), most, HEIGHT);
        // Writing into a string does not fail.
        let _ = write!(line, "{x},{y} ");
    }
    let description = format!(
        "Memory given back: {} from {} to {}",
        pages(most),
        moment(*start_nanos),
        moment(now.now_nanos)
    );
    format!(
        "<figure><figcaption>{most}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{description}\">\
         <polygon points=\"0,{HEIGHT} {line}{WIDTH},{HEIGHT}\"/>\
         <polyline points=\"{line}\"/></svg>\
         <div class=\"axis\"><span>{start}</span><span>{end}</span></div></figure>",
        most = pages(most),
        start = moment(*start_nanos),
        end = moment(now.now_nanos),
    )
}

fn scaled(value: u64, most: u64, size: u64) -> u64 {
    let scaled = u128::from(value.min(most)) * u128::from(size) / u128::from(most.max(1));
    u64::try_from(scaled).unwrap_or(size)
}
