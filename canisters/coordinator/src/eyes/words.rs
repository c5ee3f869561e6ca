//! Figures as people read them.

use decant_engine::TimeNanos;
pub(super) use decant_words::cycles;
use decant_words::hundredths;

const SECOND_NANOS: u64 = 1_000_000_000;

/// Pages of 64 KiB, in KiB, MiB, GiB or TiB.
pub(super) fn pages(pages: u64) -> String {
    let kib = u128::from(pages) * 64;
    let units = [(1_u128 << 30, "TiB"), (1 << 20, "GiB"), (1 << 10, "MiB")];
    match units.iter().find(|(unit, _)| kib >= *unit) {
        Some((unit, name)) => format!("{} {name}", hundredths(kib * 100 / unit)),
        None => format!("{kib} KiB"),
    }
}

/// A span, by its two largest units.
pub(super) fn span(nanos: u64) -> String {
    let seconds = nanos / SECOND_NANOS;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A moment in UTC, to the second (ISO 8601).
pub(super) fn moment(nanos: TimeNanos) -> String {
    let seconds = nanos / SECOND_NANOS;
    let (year, month, day) = date(seconds / 86_400);
    let of_day = seconds % 86_400;
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3_600, of_day % 3_600 / 60, of_day % 60)
}

/// Year, month and day of a day since 1970: eras of 400 years that begin with March, so that the leap day is the last.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A number, its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_at_a_glance() {
        assert_eq!(cycles(999_999), "999999");
        assert_eq!(cycles(1_234_567_890_123), "1.23 T");
        assert_eq!(cycles(45_678_900_000), "45.67 B");
        assert_eq!(pages(1), "64 KiB");
        assert_eq!(pages(129), "8.06 MiB");
        assert_eq!(pages(9_857 * 126), "75.80 GiB");
        assert_eq!(
            ["1", "12", "1,234", "12,345", "1,234,567"],
            [1, 12, 1_234, 12_345, 1_234_567].map(number)
        );
        assert_eq!(span(59 * SECOND_NANOS), "59 s");
        assert_eq!(span(3_660 * SECOND_NANOS), "1 h 1 min");
        assert_eq!(span(90_000 * SECOND_NANOS), "1 d 1 h");
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        let at = |seconds: u64| moment(seconds * SECOND_NANOS);
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(at(1_795_651_200), "2026-11-26T00:00:00Z");
    }
}
