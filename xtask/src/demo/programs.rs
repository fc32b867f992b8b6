//! Programs that are run: each with a time in which it has to end, and all of them end with Ctrl-C.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::error::DemoError;

/// How often to look whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Of a program that failed so many of its last lines are told.
const LAST_LINES: usize = 20;

/// Whether Ctrl-C was pressed and nobody has heeded it yet.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C ends what is under way with an error instead of this process, so that it can clean up.
pub(super) fn heed_interrupts() -> Result<(), DemoError> {
    ctrlc::set_handler(|| IS_INTERRUPTED.store(true, Ordering::Relaxed))
        .map_err(|error| DemoError::Io { what: "heed Ctrl-C".to_owned(), error: io::Error::other(error) })
}

/// Whether to end. It is said once: what is done to clean up goes on, until the next Ctrl-C.
pub(super) fn check_interrupted() -> Result<(), DemoError> {
    if IS_INTERRUPTED.swap(false, Ordering::Relaxed) { Err(DemoError::Interrupted) } else { Ok(()) }
}

/// Runs a program and gives its output.
pub(super) fn run(command: &mut Command, within: Duration) -> Result<String, DemoError> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (ended, stdout, stderr) = thread::scope(|scope| {
        let stdout = scope.spawn(|| read(stdout));
        let stderr = scope.spawn(|| read(stderr));
        let ended = end(&mut child, command, within);
        let text = |reader: thread::ScopedJoinHandle<'_, String>| reader.join().expect("it only reads");
        (ended, text(stdout), text(stderr))
    });
    check(command, ended?, &format!("{stdout}{stderr}"))?;
    Ok(stdout)
}

/// Runs a program that shows people what it does.
pub(super) fn show(command: &mut Command, within: Duration) -> Result<(), DemoError> {
    let mut child = spawn(command.stdin(Stdio::null()))?;
    let ended = end(&mut child, command, within)?;
    check(command, ended, "")
}

/// Runs a program whose output another one reads.
pub(super) fn pipe(from: &mut Command, to: &mut Command, within: Duration) -> Result<(), DemoError> {
    let mut source = spawn(from.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let piped = Stdio::from(source.stdout.take().expect("it is piped"));
    let mut target = spawn(to.stdin(piped).stdout(Stdio::null()))?;
    let read = end(&mut target, to, within);
    let written = end(&mut source, from, within);
    check(to, read?, "")?;
    check(from, written?, "")
}

fn spawn(command: &mut Command) -> Result<Child, DemoError> {
    command.spawn().map_err(|error| DemoError::Missing { program: name(command), error, advice: "" })
}

/// Waits until a program ends, and kills it when it does not or when it is no longer wanted.
fn end(child: &mut Child, command: &Command, within: Duration) -> Result<ExitStatus, DemoError> {
    let deadline = Instant::now() + within;
    loop {
        let failed = |error| DemoError::Io { what: format!("wait for `{}`", people(command)), error };
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        let is_late = Instant::now() >= deadline;
        let late = || DemoError::Endless { command: people(command), secs: within.as_secs() };
        if let Err(error) = check_interrupted().and_then(|()| if is_late { Err(late()) } else { Ok(()) }) {
            child.kill().and_then(|()| child.wait()).map_err(failed)?;
            return Err(error);
        }
        thread::park_timeout(LOOK_EVERY);
    }
}

fn check(command: &Command, status: ExitStatus, said: &str) -> Result<(), DemoError> {
    if status.success() {
        return Ok(());
    }
    // Some programs end by themselves when Ctrl-C is pressed.
    check_interrupted()?;
    let said = if said.trim().is_empty() { String::new() } else { format!(":\n{}", last_lines(said)) };
    Err(DemoError::Failed { command: people(command), how: status.to_string(), said })
}

fn read(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    // What cannot be read was not written; the exit code tells the rest.
    stream.expect("it is piped").read_to_end(&mut bytes).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last lines of a text.
fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// A command as people would type it.
fn people(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    [name(command)].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_program_writes_is_told_and_what_fails_with_its_last_words() {
        let said = run(&mut shell("echo out; echo err >&2"), Duration::from_secs(60)).unwrap();
        assert_eq!(said, "out\n");
        let failed = run(&mut shell("seq 100; exit 3"), Duration::from_secs(60)).unwrap_err().to_string();
        assert!(failed.contains("exit status: 3") && failed.ends_with("\n99\n100"), "{failed}");
        assert!(!failed.contains("\n80\n"), "{failed}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let error = run(&mut shell("exec sleep 60"), Duration::from_millis(10)).unwrap_err();
        assert!(matches!(error, DemoError::Endless { .. }), "{error}");
        let missing = run(&mut Command::new("no-such-program"), Duration::from_secs(1)).unwrap_err();
        assert!(matches!(missing, DemoError::Missing { .. }), "{missing}");
    }

    #[test]
    fn one_program_reads_what_the_other_writes() {
        let minute = Duration::from_secs(60);
        pipe(&mut shell("echo word"), &mut shell("grep -q word"), minute).unwrap();
        assert!(pipe(&mut shell("echo other"), &mut shell("grep -q word"), minute).is_err());
        assert!(pipe(&mut shell("echo word; exit 1"), &mut shell("grep -q word"), minute).is_err());
    }
}
