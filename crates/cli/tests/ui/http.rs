//! Requests as no browser makes them: with headers of one's own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A request, one to a connection.
#[track_caller]
pub(crate) fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut head = vec![format!("{method} {path} HTTP/1.1"), format!("host: {address}")];
    head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    head.push(format!("content-length: {}\r\n\r\n", body.len()));
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all((head.join("\r\n") + body).as_bytes()).unwrap();
    let mut stream = BufReader::new(stream);
    let mut lines = stream.by_ref().lines().map(Result::unwrap);
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let header = |line: String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(header).collect();
    let mut answer = Answer { status, headers, body: String::new() };
    // Not all servers end the connection when they are asked to.
    let length = answer.header("content-length").parse().expect("the length of the body");
    stream.take(length).read_to_string(&mut answer.body).unwrap();
    answer
}

#[track_caller]
pub(crate) fn get(address: &str, path: &str) -> Answer {
    ask(address, "GET", path, &[], "")
}

/// Sends a form, as a page without scripts does.
#[track_caller]
pub(crate) fn post(address: &str, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    let kind = ("content-type", "application/x-www-form-urlencoded");
    ask(address, "POST", path, &[&[kind], headers].concat(), form)
}
