//! `decant watch`: a campaign, live, from what its coordinator tells monitoring (`/metrics`).

use crate::text;
use anyhow::{Context, anyhow, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::blocking::Client;
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::time::{Duration, Instant};

/// Bytes of an answer at most; a coordinator's has some thousands.
const MAX_ANSWER_BYTES: u64 = 1 << 20;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Answers in a row that may fail: a node restarts, a coordinator is upgraded.
const MAX_FAILURES: u32 = 10;
/// Looks from which the pace is taken.
const PACE_LOOKS: usize = 30;

/// Arguments of the command.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  decant watch https://COORDINATOR.raw.icp0.io
  decant watch http://COORDINATOR.localhost:8080 --every 1
  decant watch https://COORDINATOR.raw.icp0.io --once    one line, and the exit code

It waits for the first job, and ends when none is on its way. Exits 0 if all are done, 1 if some rolled back or wait for an
operator; with --once also if some are on their way, or there is none yet.")]
pub struct Watch {
    /// Where the coordinator answers browsers.
    #[arg(value_parser = address)]
    url: String,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = crate::text::positive)]
    every: f64,
    /// Looks once.
    #[arg(long)]
    once: bool,
}

/// What one look saw.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Jobs in line, working, waiting and parked.
    open: [u64; 4],
    done: u64,
    rolled_back: u64,
    given_back_bytes: u64,
    spent_cycles: f64,
    oldest_fenced_seconds: u64,
    asks: Vec<String>,
}

impl Seen {
    /// Out of the text that Prometheus scrapes.
    ///
    /// # Errors
    /// It is not what a coordinator answers.
    pub fn parse(metrics: &str) -> anyhow::Result<Self> {
        let samples: BTreeMap<&str, f64> = metrics
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
            .collect();
        let sample = |name: &str| {
            let missing = || anyhow!("{name} is not in it: is that a coordinator, of this version?");
            samples.get(name).copied().with_context(missing)
        };
        let count = |name: &str| sample(name).map(|value| value as u64);
        let place = |place: &str| count(&format!("decant_open_jobs{{place=\"{place}\"}}"));
        Ok(Self {
            open: [place("in line")?, place("working")?, place("waiting")?, place("parked")?],
            done: count("decant_jobs_ended_total{outcome=\"done\"}")?,
            rolled_back: count("decant_jobs_ended_total{outcome=\"rolled back\"}")?,
            given_back_bytes: count("decant_given_back_bytes_total")?,
            spent_cycles: sample("decant_spent_cycles_total")?,
            oldest_fenced_seconds: count("decant_oldest_fenced_seconds")?,
            asks: samples.keys().filter_map(|name| asked(name)).collect(),
        })
    }

    fn ended(&self) -> u64 {
        self.done + self.rolled_back
    }

    fn all(&self) -> u64 {
        self.ended() + self.open.iter().sum::<u64>()
    }

    /// Jobs that go on without a person.
    fn on_their_way(&self) -> u64 {
        let [in_line, working, waiting, _] = self.open;
        in_line + working + waiting
    }

    /// Whether there were jobs, and nothing moves any more without a person.
    fn is_over(&self) -> bool {
        self.all() > 0 && self.on_their_way() == 0
    }

    /// Whether there were jobs, and all are done.
    fn is_well(&self) -> bool {
        self.is_over() && self.rolled_back == 0 && self.open[3] == 0
    }
}

/// The kind of something that is asked of an operator, out of the name of a sample.
fn asked(name: &str) -> Option<String> {
    let kind = name.strip_prefix("decant_asks{kind=\"")?.strip_suffix("\"}")?;
    Some(kind.replace('_', " "))
}

/// Runs the command; answers whether all jobs are done.
///
/// # Errors
/// The coordinator does not answer, again and again, or answers something else.
#[expect(clippy::disallowed_methods, reason = "a person watches by the clock of the machine")]
pub fn run(arguments: &Watch) -> anyhow::Result<bool> {
    let client = Client::builder().timeout(PATIENCE).build().context("starting an HTTP client")?;
    let url = format!("{}/metrics", arguments.url.trim_end_matches('/'));
    let mut pace = Pace::default();
    let mut screen = Screen::new();
    let mut failures = 0;
    loop {
        match look(&client, &url) {
            Ok(seen) => {
                failures = 0;
                pace.add(Instant::now(), seen.ended());
                if !arguments.once {
                    screen.show(&seen, &pace)?;
                }
                if arguments.once || seen.is_over() {
                    screen.finish();
                    crate::print(&(verdict(&seen) + "\n"))?;
                    return Ok(seen.is_well());
                }
            }
            Err(error) => {
                failures += 1;
                if arguments.once || failures == MAX_FAILURES {
                    return Err(error);
                }
                crate::complain(&format!("try {failures} of {MAX_FAILURES}: {error:#}"));
            }
        }
        std::thread::sleep(Duration::from_secs_f64(arguments.every));
    }
}

/// An address that can be asked.
fn address(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(text.to_owned()),
        _ => Err("it is no address such as https://COORDINATOR.raw.icp0.io".to_owned()),
    }
}

fn look(client: &Client, url: &str) -> anyhow::Result<Seen> {
    let response = client.get(url).send().with_context(|| format!("asking {url}"))?;
    let status = response.status();
    ensure!(status.is_success(), "{url} answers {status}: is that a coordinator?");
    let mut text = String::new();
    response
        .take(MAX_ANSWER_BYTES + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("reading {url}"))?;
    if text.len() as u64 > MAX_ANSWER_BYTES {
        bail!("{url} answers more than {MAX_ANSWER_BYTES} bytes: that is no coordinator");
    }
    Seen::parse(&text).with_context(|| format!("reading {url}"))
}

fn verdict(seen: &Seen) -> String {
    let mut text = match seen.all() {
        0 => "No job yet.".to_owned(),
        _ => format!(
            "{} done, {} rolled back, {} parked; {} given back for {} cycles of the coordinator; canisters paid for their own \
             snapshots and upgrades.",
            seen.done,
            seen.rolled_back,
            seen.open[3],
            text::bytes(seen.given_back_bytes),
            text::cycles(seen.spent_cycles)
        ),
    };
    if seen.on_their_way() > 0 {
        text += &format!(" On their way: {}.", seen.on_their_way());
    }
    if !seen.asks.is_empty() {
        text += &format!(" Asked of an operator: {}; the dashboard has the commands.", seen.asks.join(", "));
    }
    text
}

/// How fast jobs end.
#[derive(Debug, Default)]
struct Pace {
    looks: VecDeque<(Instant, u64)>,
}

impl Pace {
    fn add(&mut self, at: Instant, ended: u64) {
        self.looks.push_back((at, ended));
        if self.looks.len() > PACE_LOOKS {
            self.looks.pop_front();
        }
    }

    /// Jobs a second.
    fn rate(&self) -> Option<f64> {
        let ((begun, before), (now, ended)) = (self.looks.front()?, self.looks.back()?);
        let seconds = now.duration_since(*begun).as_secs_f64();
        let jobs = ended.saturating_sub(*before);
        (seconds > 0.0 && jobs > 0).then(|| jobs as f64 / seconds)
    }
}

/// A bar on a terminal, and a line a change elsewhere.
struct Screen {
    bar: Option<ProgressBar>,
    last: String,
}

impl Screen {
    fn new() -> Self {
        let bar = text::is_for_people().then(|| {
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len}\n{msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last: String::new() }
    }

    fn show(&mut self, seen: &Seen, pace: &Pace) -> anyhow::Result<()> {
        let line = line(seen, pace);
        match &self.bar {
            Some(bar) => {
                bar.set_length(seen.all());
                bar.set_position(seen.ended());
                bar.set_message(text::plain(&line));
            }
            None if line != self.last => {
                crate::print(&format!("{line}\n"))?;
                self.last = line;
            }
            None => {}
        }
        Ok(())
    }

    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn line(seen: &Seen, pace: &Pace) -> String {
    let [in_line, working, waiting, parked] = seen.open;
    let mut line = match seen.all() {
        0 => "no job yet".to_owned(),
        all => format!(
            "{} of {all} ended; in line {in_line}, working {working}, waiting {waiting}, parked {parked}, rolled back {}; {} \
             given back",
            seen.ended(),
            seen.rolled_back,
            text::bytes(seen.given_back_bytes)
        ),
    };
    if let Some(rate) = pace.rate() {
        let left = seen.on_their_way() as f64;
        line += &format!("; {:.1} a minute, {} left", rate * 60.0, text::seconds(left / rate));
    }
    if seen.oldest_fenced_seconds > 0 {
        line += &format!("; users wait for at most {}", text::seconds(seen.oldest_fenced_seconds as f64));
    }
    if !seen.asks.is_empty() {
        line += &format!("; ASKED OF AN OPERATOR: {}", seen.asks.join(", "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_of_the_last_looks() {
        let mut pace = Pace::default();
        let begun = Instant::now();
        assert_eq!(pace.rate(), None);
        for minute in 0..100 {
            pace.add(begun + Duration::from_secs(60 * minute), minute * if minute < 60 { 1 } else { 2 });
        }
        // 29 minutes from the 71st look to the 100th, two jobs each.
        assert!((pace.rate().expect("jobs ended") * 60.0 - 2.0).abs() < 1e-9);
    }
}
