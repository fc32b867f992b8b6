//! A line of the log.
//!
//! ```text
//! 83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a.png?x=1 HTTP/1.1" 200 203023 "http://..." "Mozilla/5.0 ..."
//! ip               minute + seconds                  path                 status bytes
//! ```

use thiserror::Error;

/// What the figures are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// Who asked.
    pub(crate) ip: &'a [u8],
    /// When, without the seconds: `17/May/2015:10:05`.
    pub(crate) minute: &'a [u8],
    /// What for, with its query.
    pub(crate) path: &'a [u8],
    /// The answer.
    pub(crate) status: &'a [u8],
    /// Its size; a `-` in the log is 0.
    pub(crate) bytes: u64,
}

/// Why a line is none of the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    #[error("no time like [17/May/2015:10:05:03 +0000] in the fourth place")]
    Time,
    #[error("no request in quotes after the time")]
    Request,
    #[error("no path in the request")]
    Path,
    #[error("no status of three digits after the request")]
    Status,
    #[error("no size after the status")]
    Size,
}

impl<'a> Request<'a> {
    /// Reads a line. What comes after the size is not looked at: it may be torn off.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let (ip, rest) = field(line);
        let (_identity, rest) = field(rest);
        let (_user, rest) = field(rest);
        let (time, rest) = field(rest);
        let minute = minute(time).ok_or(Malformed::Time)?;
        let (zone, rest) = field(rest);
        if !zone.ends_with(b"]") {
            return Err(Malformed::Time);
        }
        let (request, rest) = quoted(rest).ok_or(Malformed::Request)?;
        let (_method, words) = field(request);
        let (path, _version) = field(words);
        if path.is_empty() {
            return Err(Malformed::Path);
        }
        let (status, rest) = field(rest);
        if status.len() != 3 || !status.iter().all(u8::is_ascii_digit) {
            return Err(Malformed::Status);
        }
        let (size, _) = field(rest);
        Ok(Request { ip, minute, path, status, bytes: bytes(size).ok_or(Malformed::Size)? })
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// The first run of bytes that are not blank, and what comes after it.
fn field(text: &[u8]) -> (&[u8], &[u8]) {
    let start = text.iter().position(|b| !is_blank(b)).unwrap_or(text.len());
    let text = &text[start..];
    text.split_at(text.iter().position(is_blank).unwrap_or(text.len()))
}

/// What stands in the quotes that come first, and what comes after them. The server writes a quote
/// within as `\"`.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = text.iter().position(|b| !is_blank(b))?;
    let text = text[start..].strip_prefix(b"\"")?;
    let mut escaped = false;
    let end = text.iter().position(|&b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    })?;
    Some((&text[..end], &text[end + 1..]))
}

/// `[17/May/2015:10:05:03` without bracket and seconds.
fn minute(time: &[u8]) -> Option<&[u8]> {
    const SHAPE: &[u8] = b"[00/Aaa/0000:00:00:00";
    let fits = |(&byte, &shape): (&u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'A' | b'a' => byte.is_ascii_alphabetic(),
        _ => byte == shape,
    };
    let is_time = time.len() == SHAPE.len() && time.iter().zip(SHAPE).all(fits);
    is_time.then(|| &time[1..SHAPE.len() - ":00".len()])
}

fn bytes(size: &[u8]) -> Option<u64> {
    match size {
        b"-" => Some(0),
        // At most 10^15 each, so that sums stay far from 2^63.
        [b'0'..=b'9', ..] if size.len() <= 15 => str::from_utf8(size).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request<'_>, Malformed> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn a_request_is_read_from_its_line() {
        let line = r#"::1 - bob [17/May/2015:10:05:03 +0000] "GET /a?b=c HTTP/1.1" 206 99 "-" "x"#;
        let request =
            Request { ip: b"::1", minute: b"17/May/2015:10:05", path: b"/a?b=c", status: b"206", bytes: 99 };
        assert_eq!(parse(line), Ok(request));
        assert_eq!(
            parse(&line.replace(" 206 99 ", " 304 - ")),
            Ok(Request { status: b"304", bytes: 0, ..request })
        );
        assert_eq!(parse(&line.replace(" ", " \t ")).map(|r| r.bytes), Ok(99));
        assert_eq!(parse(&line.replace(" \"-\" \"x", "\r")).map(|r| r.bytes), Ok(99));
    }

    #[test]
    fn a_quote_or_a_blank_in_the_request_does_not_end_it() {
        let line = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a\"b\\ c d HTTP/1.1" 404 7"#;
        let request = parse(line).unwrap();
        assert_eq!((request.path, request.status), (&br#"/a\"b\\"#[..], &b"404"[..]));
    }

    #[test]
    fn a_malformed_line_is_told_by_what_it_lacks() {
        let line = r#"1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 7"#;
        assert!(parse(line).is_ok());
        for (from, to, expected) in [
            (line, "", Malformed::Time),
            (line, "what is this?", Malformed::Time),
            ("17/May", "5/17", Malformed::Time),
            (" +0000]", "", Malformed::Time),
            ("\"GET", "GET", Malformed::Request),
            ("1.1\"", "1.1", Malformed::Request),
            ("GET / HTTP/1.1", "-", Malformed::Path),
            ("200", "2000", Malformed::Status),
            ("200", "OK", Malformed::Status),
            (" 200 7", "", Malformed::Status),
            ("200 7", "200", Malformed::Size),
            ("200 7", "200 +7", Malformed::Size),
            ("200 7", "200 99999999999999999999", Malformed::Size),
        ] {
            assert_eq!(parse(&line.replace(from, to)), Err(expected), "{from} -> {to}");
        }
    }
}
