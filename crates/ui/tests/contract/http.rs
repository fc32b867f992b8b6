//! Requests by the oldest way that every server knows: HTTP/1.0, one to a connection.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A server at an address.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    authority: String,
    prefix: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn beginning(&self) -> String {
        self.body.chars().take(300).collect()
    }
}

impl Server {
    /// `http://host:port`, with a path before `/api` or without.
    pub(crate) fn at(url: &str) -> Server {
        let rest = url.strip_prefix("http://").expect("STORM_UI_CONTRACT is http://host:port");
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        Server { authority: authority.to_owned(), prefix }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: &str,
    ) -> Answer {
        let Server { authority, prefix } = self;
        let mut head = vec![format!("{method} {prefix}{path} HTTP/1.0")];
        if !headers.iter().any(|(name, _)| name == "host") {
            head.push(format!("host: {authority}"));
        }
        head.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        if !body.is_empty() {
            head.push("content-type: application/json".to_owned());
        }
        head.push(format!("content-length: {}\r\n\r\n", body.len()));
        let request = head.join("\r\n") + body;
        let mut stream = TcpStream::connect(authority).await.expect("the server listens");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter_map(header).collect();
        Answer { status: status.expect("a status"), headers, body: body.to_owned() }
    }
}
