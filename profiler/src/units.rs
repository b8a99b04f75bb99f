//! Formats numbers for people.
//!
//! Everything before this point is an integer with its unit in its name. Decimals are fixed, so that a column's
//! digits line up, and nothing is rounded twice. A quotient whose divisor is zero is shown as `-`.

use std::time::Duration;

/// An integer with its thousands apart: `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    apart(&number.to_string())
}

/// Digits with the thousands apart.
fn apart(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with so many decimals, its thousands apart: `1,234.5`, `-0.5`. What is not a number is `-`.
#[must_use]
pub fn decimal(number: f64, places: usize) -> String {
    if !number.is_finite() {
        return "-".to_owned();
    }
    let text = format!("{:.places$}", number.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    // What is rounded to nothing has no sign.
    let sign =
        if number < 0.0 && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) { "-" } else { "" };
    format!("{sign}{}{fraction}", apart(whole))
}

/// Nanoseconds as milliseconds, without the unit: `1,234.57`.
#[must_use]
pub fn ms(ns: u64) -> String {
    decimal(ns as f64 / 1e6, 2)
}

/// Nanoseconds as seconds: `10.0 s`.
#[must_use]
pub fn seconds(ns: u64) -> String {
    format!("{} s", decimal(ns as f64 / 1e9, 1))
}

/// A number of bytes, to three digits: `512 B`, `4.10 kB`, `34.2 MB`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let scaled = units.into_iter().map(|(one, unit)| (bytes as f64 / one, unit));
    let large = scaled.into_iter().find(|(number, _)| *number >= 0.9995);
    large.map_or_else(|| format!("{bytes} B"), |(number, unit)| format!("{} {unit}", three_digits(number)))
}

/// A number of at least one, to three digits.
fn three_digits(number: f64) -> String {
    let places = match number {
        number if number < 9.995 => 2,
        number if number < 99.95 => 1,
        _ => 0,
    };
    decimal(number, places)
}

/// A time as people say it, to three digits: `85 ns`, `1.20 µs`, `12.3 ms`, `145 s`, `1 h 5 min`.
#[must_use]
pub fn span(ns: u64) -> String {
    if ns >= 600_000_000_000 {
        let minutes = (ns + 30_000_000_000) / 60_000_000_000;
        return match (minutes / 60, minutes % 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, minutes) => format!("{} h {minutes} min", grouped(hours)),
        };
    }
    // The largest unit of which there is one, also once it is rounded.
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let scaled = units.into_iter().map(|(one, unit)| (ns as f64 / one, unit));
    let large = scaled.into_iter().find(|(number, _)| *number >= 0.9995);
    large.map_or_else(|| format!("{ns} ns"), |(number, unit)| format!("{} {unit}", three_digits(number)))
}

/// A part of a whole in percent, without the sign.
#[must_use]
pub fn percent(part: u64, whole: u64, places: usize) -> String {
    decimal(part as f64 * 100.0 / whole as f64, places)
}

/// A rate or a mean of counts: with one decimal if it is small.
#[must_use]
pub fn average(number: f64) -> String {
    decimal(number, usize::from(number < 99.95))
}

/// A count in so many nanoseconds as a rate per second.
#[must_use]
pub fn per_second(count: u64, ns: u64) -> String {
    average(count as f64 * 1e9 / ns as f64)
}

/// A count and its noun, or its nouns: `1 worker`, `4 switches`, `2 samples or waits`.
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    let plural = |noun: &str| noun.to_owned() + if noun.ends_with(['s', 'h']) { "es" } else { "s" };
    let noun = if count == 1 {
        noun.to_owned()
    } else {
        noun.split(" or ").map(plural).collect::<Vec<_>>().join(" or ")
    };
    format!("{} {noun}", grouped(count))
}

/// An instant since the epoch in UTC, fit for a file's name: `20260414T101500Z`.
#[must_use]
pub fn utc_stamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// An instant since the epoch in UTC, to the minute: `2026-04-14 10:15 UTC`.
#[must_use]
pub fn utc(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", seconds / 3600 % 24, seconds / 60 % 60)
}

/// A long time: `42 s`, `5 min 12 s`.
#[must_use]
pub fn minutes(ns: u64) -> String {
    let seconds = (ns + 500_000_000) / 1_000_000_000;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{} min {seconds} s", grouped(minutes)),
    }
}

/// Year, month and day of a number of days since 1970-01-01: the proleptic Gregorian calendar, counted in eras
/// of 400 years that begin on 1 March (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(decimal(1234.56, 1), "1,234.6");
    }

    #[test]
    fn every_number_is_printed_as_it_is() {
        // All signs and exponents, with mantissas of a few shapes: more than any column ever shows.
        let mantissas = [0, 1, 0x8_0000_0000_0000, 0xf_ffff_ffff_ffff, 0x5_5555_5555_5555];
        let bits = (0..=u64::from(u16::MAX >> 4))
            .flat_map(|exponent| mantissas.map(|mantissa| exponent << 52 | mantissa));
        for number in bits.flat_map(|bits| [f64::from_bits(bits), -f64::from_bits(bits)]) {
            for places in 0..4 {
                let text = decimal(number, places);
                if !number.is_finite() {
                    assert_eq!(text, "-");
                    continue;
                }
                let plain: f64 = text.replace(',', "").parse().unwrap();
                let rounded: f64 = format!("{number:.places$}").parse().unwrap();
                assert!((plain - rounded).abs() <= rounded.abs() * 1e-15, "{text}");
                assert_eq!(text.starts_with('-'), plain < 0.0, "{text}");
                let whole = text.trim_start_matches('-').split('.').next().unwrap();
                assert!(whole.split(',').skip(1).all(|group| group.len() == 3), "{text}");
            }
        }
        assert_eq!(
            (decimal(-1.08, 3), decimal(-1234.5, 1), decimal(-0.04, 1)),
            ("-1.080".to_owned(), "-1,234.5".to_owned(), "0.0".to_owned())
        );
    }

    #[test]
    fn nanoseconds_become_what_people_read() {
        assert_eq!(ms(1_234_567_890), "1,234.57");
        assert_eq!(ms(4_000), "0.00");
        assert_eq!(ms(5_000), "0.01");
        assert_eq!(seconds(10_004_000_000), "10.0 s");
        assert_eq!(minutes(41_600_000_000), "42 s");
        let spans = [0, 999, 1_204, 12_345, 999_600, 12_345_678, 201_400_000, 999_499_999, 145_367_840_000];
        let said =
            ["0 ns", "999 ns", "1.20 µs", "12.3 µs", "1.00 ms", "12.3 ms", "201 ms", "999 ms", "145 s"];
        assert_eq!(spans.map(span), said);
        let long = [599_400_000_000, 600_000_000_000, 3_900_000_000_000].map(span);
        assert_eq!(long, ["599 s", "10 min", "1 h 5 min"]);
        let sizes = [0, 512, 999, 4_096, 34_200_000, 999_600_000, 1_500_000_000_000].map(bytes);
        assert_eq!(sizes, ["0 B", "512 B", "999 B", "4.10 kB", "34.2 MB", "1.00 GB", "1.50 TB"]);
        assert_eq!(minutes(119_600_000_000), "2 min 0 s");
    }

    #[test]
    fn quotients_say_when_there_is_nothing_to_divide_by() {
        assert_eq!(percent(1, 3, 2), "33.33");
        assert_eq!(percent(0, 0, 2), "-");
        assert_eq!(percent(5, 0, 2), "-");
        assert_eq!(per_second(7, 0), "-");
    }

    #[test]
    fn small_rates_keep_a_decimal() {
        assert_eq!(per_second(1, 10_000_000_000), "0.1");
        assert_eq!(per_second(250_004, 10_000_000_000), "25,000");
        assert_eq!(per_second(9_996, 100_000_000_000), "100");
    }

    #[test]
    fn nouns_agree_with_their_count() {
        assert_eq!(counted(1, "worker"), "1 worker");
        assert_eq!(counted(0, "worker"), "0 workers");
        assert_eq!(counted(1000, "worker"), "1,000 workers");
        assert_eq!(
            (counted(2, "switch"), counted(3, "process")),
            ("2 switches".to_owned(), "3 processes".to_owned())
        );
        assert_eq!(
            (counted(1, "fork or exec"), counted(2, "fork or exec")),
            ("1 fork or exec".to_owned(), "2 forks or execs".to_owned())
        );
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc_stamp(Duration::from_secs(0)), "19700101T000000Z");
        assert_eq!(utc_stamp(Duration::from_secs(951_782_399)), "20000228T235959Z");
        assert_eq!(utc_stamp(Duration::from_secs(951_782_400)), "20000229T000000Z");
        assert_eq!(utc_stamp(Duration::from_secs(1_776_161_700)), "20260414T101500Z");
        assert_eq!(utc(Duration::from_secs(1_776_161_700)), "2026-04-14 10:15 UTC");
    }
}
