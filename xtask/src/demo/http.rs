//! Just enough HTTP to ask the pages and the REST interface.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Whoever answers later does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Asks for a path on this machine; the body of what comes back. Who is sent on goes there, once.
///
/// # Errors
/// When nobody answers, or with another status than 200.
pub(super) fn get(port: u16, path: &str) -> Result<String, String> {
    ask(port, path)?
        .or_else(|elsewhere| ask(port, &elsewhere)?.map_err(|next| format!("{path}: and on to {next}")))
}

/// The path of a link, which may have a host.
pub(super) fn path_of(link: &str) -> &str {
    let rest = link.split_once("://").map_or(link, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(link)
}

/// The body, or where it is.
fn ask(port: u16, path: &str) -> Result<Result<String, String>, String> {
    let answer = exchange(port, path).map_err(|error| format!("{path}: {error}"))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let location = lines.filter_map(|line| line.split_once(':'));
    let location = location
        .filter(|(name, _)| name.eq_ignore_ascii_case("location"))
        .map(|(_, link)| link.trim())
        .next();
    match (status.split(' ').nth(1), location) {
        (Some("200"), _) => Ok(Ok(body.to_owned())),
        (Some("301" | "302" | "303" | "307" | "308"), Some(link)) => Ok(Err(path_of(link).to_owned())),
        _ => Err(format!("{path}: {status}: {body}")),
    }
}

/// By version 1.0 the body is sent as it is, and ends with the connection.
fn exchange(port: u16, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    // In one piece: who answers early may not read a second one.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost:{port}\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
                let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                assert_eq!(head[0], "GET /a HTTP/1.0");
                stream.write_all(answer.as_bytes()).unwrap();
            });
            get(port, "/a")
        })
    }

    #[test]
    fn the_body_of_what_is_well_is_given_and_what_is_not_with_its_status() {
        assert_eq!(answered("HTTP/1.0 200 OK\r\nx: y\r\n\r\na\r\n\r\nb"), Ok("a\r\n\r\nb".to_owned()));
        let refused = answered("HTTP/1.0 404 Not Found\r\n\r\nno").unwrap_err();
        assert_eq!(refused, "/a: HTTP/1.0 404 Not Found: no");
        assert!(answered("").is_err());
    }

    #[test]
    fn who_is_sent_on_goes_there_once() {
        let sent = answered("HTTP/1.0 302 Found\r\nLocation: http://localhost/b\r\n\r\n").unwrap_err();
        assert!(sent.starts_with("/b: "), "nobody listens any more: {sent}");
    }

    #[test]
    fn a_link_has_a_path() {
        assert_eq!(path_of("http://h:1/a/b?c=/d"), "/a/b?c=/d");
        assert_eq!(path_of("/a/b"), "/a/b");
    }
}
