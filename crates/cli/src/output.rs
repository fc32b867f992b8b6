//! What is printed: tables and sentences for people, JSON for scripts. Nothing else in this program
//! writes to stdout or stderr, but the log of the daemons.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::json;
pub(crate) use storm_model::time::moment;
use storm_rpc::CallError;

pub(crate) mod json;
pub(crate) mod people;

/// Whether stdout could not be written, for another reason than that nobody reads any more.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints a line, or several; whether anybody reads. Whoever reads may stop reading: then there is nobody to
/// tell, and that is no error.
pub(crate) fn line(text: &str) -> bool {
    out(format!("{text}\n").as_bytes())
}

/// Prints a value as JSON.
pub(crate) fn json(value: &impl Serialize) -> bool {
    line(&serde_json::to_string_pretty(value).expect("plain data with text keys"))
}

/// Prints a value as JSON in one line.
pub(crate) fn json_line(value: &impl Serialize) -> bool {
    line(&serde_json::to_string(value).expect("plain data with text keys"))
}

/// Prints bytes as they are.
pub(crate) fn raw(bytes: &[u8]) {
    out(bytes);
}

fn out(bytes: &[u8]) -> bool {
    let mut stdout = io::stdout().lock();
    let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) else { return true };
    if error.kind() != io::ErrorKind::BrokenPipe && !IS_LOST.swap(true, Ordering::Relaxed) {
        say(&format!("error: cannot write the output: {error}"));
    }
    false
}

/// The exit code when output was lost, to a full disk for example.
pub(crate) fn lost() -> Option<ExitCode> {
    IS_LOST.load(Ordering::Relaxed).then_some(ExitCode::FAILURE)
}

/// Tells people something beside the result.
pub(crate) fn note(text: &str) {
    print(io::stderr().lock(), &format!("note: {text}"));
}

/// Tells people what happens.
pub(crate) fn say(text: &str) {
    print(io::stderr().lock(), text);
}

fn print(mut to: impl io::Write, text: &str) {
    // A pipe whose reader is gone is no reason to panic.
    writeln!(to, "{text}").and_then(|()| to.flush()).ok();
}

/// Whether somebody looks at stderr, so that progress makes sense.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Prints an error and gives its exit code.
pub(crate) fn fail(error: &CallError, is_json: bool) -> ExitCode {
    say(&error_text(error, is_json));
    ExitCode::from(error.code.exit_code())
}

fn error_text(error: &CallError, is_json: bool) -> String {
    let CallError { code, message, advice } = error;
    if is_json {
        return json!({"error": code.as_str(), "message": message, "advice": advice}).to_string();
    }
    if advice.is_empty() { format!("error: {message}") } else { format!("error: {message}\n help: {advice}") }
}

/// A table without lines. Columns whose heading starts with `>` are set to the right.
pub(crate) fn table<const N: usize>(
    heading: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(heading.map(|name| name.trim_start_matches('>')));
    table.add_rows(rows);
    for (column, name) in table.column_iter_mut().zip(heading) {
        column.set_padding((0, 2));
        if name.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A time, as people say it: its two largest units.
pub(crate) fn time(time: Duration) -> String {
    let secs = time.as_secs();
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{minutes}m {}s", secs % 60),
        3600..86_400 => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// A number of bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        let of = |secs| time(Duration::from_secs(secs));
        assert_eq!([of(0), of(59), of(61), of(3661), of(90_000)], ["0s", "59s", "1m 1s", "1h 1m", "1d 1h"]);
        assert_eq!([bytes(1023), bytes(1024), bytes(5 << 20)], ["1023 B", "1.0 KB", "5.0 MB"]);
    }

    #[test]
    fn errors_say_what_and_what_to_do() {
        let error = CallError::no_such_topology("x");
        expect_test::expect![[r#"
            error: there is no topology 'x'
             help: `storm-rs list` shows those that run
            {"advice":"`storm-rs list` shows those that run","error":"no-such-topology","message":"there is no topology 'x'"}"#]]
        .assert_eq(&format!("{}\n{}", error_text(&error, false), error_text(&error, true)));
        assert_eq!(error_text(&CallError::other("why"), false), "error: why");
    }
}
