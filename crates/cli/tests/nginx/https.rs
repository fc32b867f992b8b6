//! Requests over TLS with headers of one's own, and answers that never end. `openssl s_client` is the line.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The name that the example has.
pub(crate) const NAME: &str = "storm.example.org";

/// Makes a key and a certificate that it signs itself, for [`NAME`].
pub(crate) fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let (key, certificate) = (dir.join("key.pem"), dir.join("certificate.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", &format!("/CN={NAME}"), "-keyout"]).arg(&key).arg("-out");
    let made = openssl.arg(&certificate).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    (key, certificate)
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// A header; empty where it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A server on loopback, and who asks it.
pub(crate) struct Client {
    pub(crate) port: u16,
    /// `Authorization: Basic` of this name and password.
    pub(crate) login: Option<&'static str>,
}

impl Client {
    /// The name with the port, as a browser sends it.
    pub(crate) fn authority(&self) -> String {
        format!("{NAME}:{}", self.port)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        answer(self.line("GET", path, headers, ""))
    }

    /// Sends a form, as a page without scripts does.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        answer(self.line("POST", path, &[&[kind], headers].concat(), form))
    }

    /// The lines of an answer, headers and all, as they come.
    pub(crate) fn stream(&self, path: &str) -> Lines {
        let mut line = self.line("GET", path, &[("accept", "text/event-stream")], "");
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(line.0.stdout.take().unwrap());
        let reader = std::thread::Builder::new().name("lines".to_owned());
        // It ends with the process, which ends with the lines.
        reader
            .spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|text| sender.send(text)))
            .unwrap();
        Lines { _line: line, lines }
    }

    /// A request of HTTP/1.0: what answers it ends with its connection.
    fn line(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Line {
        let mut head = vec![format!("{method} {path} HTTP/1.0"), format!("host: {}", self.authority())];
        head.extend(self.login.map(|login| format!("authorization: Basic {login}")));
        head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        head.push(format!("content-length: {}\r\n\r\n", body.len()));
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-servername", NAME, "-connect"]);
        openssl.arg(format!("127.0.0.1:{}", self.port));
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = openssl.spawn().unwrap();
        process.stdin.as_mut().unwrap().write_all((head.join("\r\n") + body).as_bytes()).unwrap();
        Line(process)
    }
}

/// A connection. It breaks when this is dropped.
struct Line(Child);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[track_caller]
fn answer(mut line: Line) -> Answer {
    let mut bytes = Vec::new();
    line.0.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
}

/// An answer that goes on.
pub(crate) struct Lines {
    _line: Line,
    lines: Receiver<String>,
}

impl Lines {
    /// The next line that is like this; it has to come in time.
    #[track_caller]
    pub(crate) fn next(&self, within: Duration, is_it: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if is_it(&line) => return line,
                Ok(_) => {}
                Err(error) => panic!("no such line within {within:?}: {error}"),
            }
        }
    }
}
