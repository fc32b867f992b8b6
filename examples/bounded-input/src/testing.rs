//! Runs the examples' binaries; for their tests.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// No run of a test may take longer, the slowest machine considered.
pub const LIMIT: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What a process said, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: String,
    /// All of its stderr.
    pub stderr: String,
}

impl Finished {
    /// Panics with all that the process said unless it ended with exit code 0.
    pub fn assert_success(self) -> Finished {
        assert!(self.status.success(), "not a success: {self:#?}");
        self
    }
}

/// A process under test; killed when it is dropped.
pub struct Running {
    child: Child,
    output: Receiver<(bool, Vec<u8>)>,
}

/// Runs a binary to its end. Panics if it takes longer than [`LIMIT`].
pub fn run<A: AsRef<OsStr>>(binary: &str, args: impl IntoIterator<Item = A>) -> Finished {
    start(binary, args).finish()
}

/// As [`run`], with these variables in its environment.
pub fn run_with<A: AsRef<OsStr>>(
    binary: &str,
    args: impl IntoIterator<Item = A>,
    variables: &[(&str, &Path)],
) -> Finished {
    start_with(binary, args, variables).finish()
}

/// Starts a binary.
pub fn start<A: AsRef<OsStr>>(binary: &str, args: impl IntoIterator<Item = A>) -> Running {
    start_with(binary, args, &[])
}

fn start_with<A: AsRef<OsStr>>(
    binary: &str,
    args: impl IntoIterator<Item = A>,
    variables: &[(&str, &Path)],
) -> Running {
    let mut child = Command::new(binary)
        .args(args)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    let (sender, output) = channel();
    let stdout = child.stdout.take().expect("piped");
    let stderr = child.stderr.take().expect("piped");
    let pipes: [(bool, Box<dyn Read + Send>); 2] = [(true, Box::new(stdout)), (false, Box::new(stderr))];
    for (is_stdout, mut pipe) in pipes {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).expect("a pipe can be read");
            // Nobody listens any more when the test has given up.
            sender.send((is_stdout, bytes)).ok();
        });
    }
    Running { child, output }
}

impl Running {
    /// Waits for the end of the process: both its pipes closed. Panics after [`LIMIT`].
    pub fn finish(mut self) -> Finished {
        let deadline = Instant::now() + LIMIT;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        for _ in 0..2 {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((is_stdout, bytes)) = self.output.recv_timeout(left) else {
                panic!("not finished after {LIMIT:?}; so far: {stdout}{stderr}");
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            *(if is_stdout { &mut stdout } else { &mut stderr }) = text;
        }
        let status = self.child.wait().expect("it is our child");
        Finished { status, stdout, stderr }
    }

    /// Waits until something is so, and panics when it is not after [`LIMIT`] or when the process
    /// ends before.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_so() {
            match self.output.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) => {}
                ended => panic!("ended before {what}: {ended:?}"),
            }
            assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        }
    }

    /// Kills the process with SIGKILL and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is the usual case.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Path of a file of the examples' data.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(name)
}

/// Panics with the first line that differs, instead of with two whole files.
pub fn assert_same_file(found: &Path, expected: &Path) {
    let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_same_bytes(&read(found), &read(expected));
}

/// Panics with the first line that differs.
pub fn assert_same_bytes(found: &[u8], expected: &[u8]) {
    if found == expected {
        return;
    }
    let (mut f, mut e) = (found.split(|b| *b == b'\n'), expected.split(|b| *b == b'\n'));
    for number in 1.. {
        let (f, e) = (f.next(), e.next());
        let text = |line: Option<&[u8]>| line.map(|l| String::from_utf8_lossy(l).into_owned());
        assert_eq!(text(f), text(e), "line {number}");
        assert_eq!(f, e, "line {number}");
    }
}
