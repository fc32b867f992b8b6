//! How numbers, times and names are written.

use std::borrow::Borrow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between a number and its unit: narrow, and no line breaks there.
const GAP: char = '\u{202f}';

/// A number in full, with commas between thousands.
pub(crate) fn exact(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number in three digits: `999`, `1.23 k`, `45.6 M`.
pub(crate) fn short(number: f64) -> String {
    let (scaled, unit) = scaled(number);
    if unit.is_empty() && number.fract() == 0.0 { format!("{scaled:.0}") } else { with_unit(scaled, unit) }
}

/// So many a second: `12.3 k/s`.
pub(crate) fn rate(per_sec: f64) -> String {
    let (scaled, unit) = scaled(per_sec);
    match unit {
        "" => with_unit(scaled, "/s"),
        unit => format!("{}/s", with_unit(scaled, unit)),
    }
}

fn scaled(number: f64) -> (f64, &'static str) {
    // As it will be rounded: 999.7 is 1.00 k.
    let size = number.abs();
    let units = [(999.5e9, 1e12, "T"), (999.5e6, 1e9, "G"), (999.5e3, 1e6, "M"), (999.5, 1e3, "k")];
    units.iter().find(|(from, ..)| size >= *from).map_or((number, ""), |(_, by, unit)| (number / by, unit))
}

fn with_unit(number: f64, unit: &str) -> String {
    let digits = three_digits(number);
    if unit.is_empty() { digits } else { format!("{digits}{GAP}{unit}") }
}

fn three_digits(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if size < 9.995 => format!("{number:.2}"),
        size if size < 99.95 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}

/// How long something took. Always in milliseconds below ten seconds, so that a column compares.
pub(crate) fn latency(duration: Duration) -> String {
    let secs = duration.as_secs_f64();
    match secs * 1e3 {
        0.0 => format!("0{GAP}ms"),
        millis if millis < 0.0005 => format!("{:.0}{GAP}ns", secs * 1e9),
        millis if millis < 0.9995 => format!("{millis:.3}{GAP}ms"),
        millis if millis < 9_999.5 => {
            if millis < 999.5 {
                format!("{}{GAP}ms", three_digits(millis))
            } else {
                format!("{}{GAP}ms", exact(millis.round() as u64))
            }
        }
        _ if secs < 120.0 => format!("{secs:.1}{GAP}s"),
        _ => span(duration.as_secs()),
    }
}

/// The same from milliseconds, as Nimbus tells them.
pub(crate) fn millis(millis: f64) -> String {
    latency(Duration::try_from_secs_f64(millis.max(0.0) / 1e3).unwrap_or_default())
}

/// A span of time in its two largest units: `3d 4h`, `12m 5s`.
pub(crate) fn span(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs}s"),
        (0, 0, _) => format!("{minutes}m {}s", secs % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// A share: `43 %`, `0.4 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => format!("0{GAP}%"),
        _ if percent < 0.05 => format!("<{GAP}0.1{GAP}%"),
        _ if percent < 9.95 => format!("{percent:.1}{GAP}%"),
        _ => format!("{percent:.0}{GAP}%"),
    }
}

/// An amount of memory or of a file.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes}{GAP}B");
    }
    let mut size = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while size >= 999.5 && unit + 1 < UNITS.len() {
        size /= 1_024.0;
        unit += 1;
    }
    with_unit(size, UNITS[unit])
}

/// How long ago something was, in words.
pub(crate) fn ago(now: SystemTime, then_ms: u64) -> String {
    let then = UNIX_EPOCH + Duration::from_millis(then_ms);
    match now.duration_since(then).map_or(0, |passed| passed.as_secs()) {
        0..2 => "now".to_owned(),
        secs => format!("{} ago", span(secs)),
    }
}

/// A moment in UTC: `2026-03-01 12:34:56`.
pub(crate) fn moment(ms: u64) -> String {
    let (days, secs) = (ms / 86_400_000, ms / 1_000 % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, sec) = (secs / 3_600, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{sec:02}")
}

/// The Gregorian date of so many days after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// Milliseconds since 1970.
pub(crate) fn as_millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A number with its noun.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", exact(number), noun(number, one, many))
}

/// The same for templates: they have lengths, and lend what they have.
pub(crate) fn number_of(number: impl Borrow<usize>, one: &str, many: &str) -> String {
    counted(*number.borrow() as u64, one, many)
}

/// The noun of a number that is written elsewhere.
pub(crate) fn noun<'a>(number: u64, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// A text as one segment of a path, or as a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    let encoded = encoded_but(text, b"-_.~");
    // A segment of dots alone would be resolved away by browsers.
    if encoded.bytes().all(|byte| byte == b'.') { encoded.replace('.', "%2E") } else { encoded }
}

/// A text with all bytes as `%XX` but letters, digits and those that are `plain`.
pub(crate) fn encoded_but(text: &str, plain: &[u8]) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            encoded.push(byte.into());
        } else {
            encoded.push('%');
            encoded.push(HEX[usize::from(byte >> 4)].into());
            encoded.push(HEX[usize::from(byte & 15)].into());
        }
    }
    encoded
}

/// The text that a segment of a path stands for; none when it is not written as UTF-8.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let decoded = if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            (digit()? * 16 + digit()?) as u8
        } else {
            byte
        };
        bytes.push(decoded);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: String) -> String {
        text.replace(GAP, " ")
    }

    #[test]
    fn numbers_have_three_digits() {
        let of = |number| plain(short(number));
        assert_eq!([0.0, 7.0, 999.0, 1_000.0, 45_678.0].map(of), ["0", "7", "999", "1.00 k", "45.7 k"]);
        assert_eq!([999_600.0, 2.5e9, 0.5].map(of), ["1.00 M", "2.50 G", "0.50"]);
        assert_eq!(
            [0.0, 0.25, 950.0, 12_345.0].map(|n| plain(rate(n))),
            ["0 /s", "0.25 /s", "950 /s", "12.3 k/s"]
        );
        assert_eq!(exact(1_234_567), "1,234,567");
    }

    #[test]
    fn latencies_are_milliseconds_as_far_as_people_compare_them() {
        let of = |nanos| plain(latency(Duration::from_nanos(nanos)));
        assert_eq!([0, 70, 87_300, 1_234_567].map(of), ["0 ms", "70 ns", "0.087 ms", "1.23 ms"]);
        assert_eq!([45_600_000, 1_234_000_000, 65_000_000_000].map(of), ["45.6 ms", "1,234 ms", "65.0 s"]);
        assert_eq!(plain(millis(f64::NAN)), "0 ms");
    }

    #[test]
    fn one_of_something_is_not_several() {
        let of = |number| counted(number, "task", "tasks");
        assert_eq!([0, 1, 2, 1_000].map(of), ["0 tasks", "1 task", "2 tasks", "1,000 tasks"]);
        assert_eq!((number_of(1, "key", "keys").as_str(), noun(2, "tree", "trees")), ("1 key", "trees"));
    }

    #[test]
    fn spans_have_their_two_largest_units() {
        assert_eq!([5, 65, 3_700, 90_000].map(span), ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(moment(4_102_444_799_000), "2099-12-31 23:59:59");
    }

    #[test]
    fn shares_and_sizes_are_short() {
        assert_eq!(
            [0.0, 0.0001, 0.034, 0.5, 1.2].map(|s| plain(percent(s))),
            ["0 %", "< 0.1 %", "3.4 %", "50 %", "120 %"]
        );
        assert_eq!([12, 1_536, 5 << 30].map(|b| plain(bytes(b))), ["12 B", "1.50 KiB", "5.00 GiB"]);
    }

    #[test]
    fn what_is_encoded_reads_back() {
        for text in ["a/b c", "grüß?&#", "..", "100%", ""] {
            assert_eq!(decoded(&encoded(text)).as_deref(), Some(text));
        }
        assert_eq!(encoded("a/b"), "a%2Fb");
        assert_eq!([decoded("%f"), decoded("%zz"), decoded("%ff")], [None, None, None]);
    }
}
