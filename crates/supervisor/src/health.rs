//! Whether this machine may get work: the scripts of `storm.health.check.dir`.
//!
//! As in Storm a script that ends with another code than 0 means an unhealthy machine, whatever it
//! prints, and so does one that takes too long unless `storm.health.check.fail.on.timeouts` is false.
//! Storm then kills all workers and its supervisor. Here the workers end as well, but the supervisor stays,
//! says why, and goes on checking: Nimbus moves the work to other machines, and gives this one work again
//! when a check succeeds. What found no place elsewhere is started here then.
//!
//! Storm acts on the first failure. Here it is confirmed by a second run a little later: one script that
//! stumbles over a busy moment is not worth all workers of a machine.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::container;

/// Bytes of what a script prints that are kept.
const TOLD: u64 = 4 << 10;
/// After a script's end its output is read for so long: what it has left running may hold the pipe.
const READ_WITHIN: Duration = Duration::from_millis(100);

/// How the health of the machine is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthOptions {
    /// Where the scripts are; nothing there is healthy.
    pub directory: PathBuf,
    /// How long each may take.
    pub timeout: Duration,
    /// Whether one that takes longer is unhealthy.
    pub fail_on_timeouts: bool,
    /// How often they run.
    pub every: Duration,
}

/// Of how long it is between two checks, this part goes by before a failure is confirmed.
const CONFIRM_AFTER: u32 = 10;

/// As [`check`]; a failure of a machine that was healthy is confirmed.
pub(crate) async fn check_twice(options: &HealthOptions, was_healthy: bool) -> String {
    let problem = check(options).await;
    if problem.is_empty() || !was_healthy {
        return problem;
    }
    tracing::info!(problem, "a health check has failed: checking again");
    tokio::time::sleep(options.every / CONFIRM_AFTER).await;
    check(options).await
}

/// Runs all scripts, one after the other. What is wrong, in words; empty when nothing is.
async fn check(options: &HealthOptions) -> String {
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(&options.directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_executable(path))
        .collect();
    scripts.sort();
    let mut problems = Vec::new();
    for script in scripts {
        if let Some(problem) = run(&script, options).await {
            let name = script.file_name().unwrap_or_default().display();
            problems.push(format!("health check {name} {problem}"));
        }
    }
    problems.join("; ")
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

async fn run(script: &Path, options: &HealthOptions) -> Option<String> {
    match tokio::time::timeout(options.timeout, output(script)).await {
        Ok(Ok((status, _))) if status.success() => None,
        Ok(Ok((status, told))) => {
            let text = String::from_utf8_lossy(&told);
            let line: String = text.lines().next().unwrap_or_default().chars().take(200).collect();
            Some(format!("{}: {line}", container::describe(status)))
        }
        Ok(Err(error)) => Some(format!("cannot be run: {error}")),
        Err(_) if options.fail_on_timeouts => Some(format!("took more than {:?}", options.timeout)),
        Err(_) => None,
    }
}

async fn output(script: &Path) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut tries = 0;
    loop {
        let mut command = Command::new(script);
        command.stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < container::BUSY_TRIES =>
            {
                tries += 1;
                tokio::time::sleep(container::BUSY_PAUSE).await;
            }
            child => return output_of(child?).await,
        }
    }
}

/// Waits for a script. Whatever it has started and left behind is not waited for, and of what it prints only
/// the beginning is kept.
async fn output_of(mut child: Child) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut told = Vec::new();
    let status = {
        let reading = async {
            let head = (&mut stdout).take(TOLD).read_to_end(&mut told).await;
            head.and(tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await).ok();
        };
        tokio::pin!(reading);
        tokio::select! {
            status = child.wait() => {
                tokio::time::timeout(READ_WITHIN, &mut reading).await.ok();
                status
            }
            () = &mut reading => child.wait().await,
        }
    };
    Ok((status?, told))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it is used")]

    use super::*;

    #[tokio::test]
    async fn only_the_exit_code_and_the_time_count() {
        let directory = tempfile::tempdir().unwrap();
        let mut options = HealthOptions {
            directory: directory.path().to_owned(),
            timeout: Duration::from_secs(20),
            fail_on_timeouts: true,
            every: Duration::from_secs(30),
        };
        let script = |name: &str, text: &str, mode: u32| {
            let text = format!("#!/bin/sh\n{text}\n");
            crate::local_state::write_file(&directory.path().join(name), text.as_bytes(), mode).unwrap();
        };
        assert_eq!(check(&options).await, "");
        script("a", "echo ERROR all is well", 0o755);
        script("b", "exit 1", 0o644);
        assert_eq!(check(&options).await, "");
        script("c", "echo disk is full; exit 3", 0o755);
        assert_eq!(check(&options).await, "health check c has ended with exit code 3: disk is full");
        std::fs::remove_file(directory.path().join("c")).unwrap();
        script("c", "sleep 3 & echo oh; exit 4", 0o755);
        assert_eq!(check(&options).await, "health check c has ended with exit code 4: oh");
        script("c", "yes no | head -c 300000; exit 5", 0o755);
        assert_eq!(check(&options).await, "health check c has ended with exit code 5: no");
        std::fs::remove_file(directory.path().join("c")).unwrap();
        script("d", "exec sleep 1000", 0o755);
        options.timeout = Duration::from_millis(300);
        std::fs::remove_file(directory.path().join("a")).unwrap();
        assert_eq!(check(&options).await, "health check d took more than 300ms");
        options.fail_on_timeouts = false;
        assert_eq!(check(&options).await, "");
    }
}
