//! Keys of the web pages and the REST interface.

use super::row::{flag, int, opt_text, port, table, text, texts, unused};

table! {
    /// Whether the pages and the REST interface may command topologies: activate, kill, rebalance.
    "ui.actions.enabled": flag(true)
        .ours("Storm 2 lists the key and reads it no more; here it works");
    /// How it is known who asks: `none`, `basic` (name and password) or `header` (set by a proxy in front).
    "ui.authentication": text("none").ours("in place of Storm's 'ui.filter', a Java class");
    /// Header in which the proxy names the user, with `header`.
    "ui.authentication.header": text("x-forwarded-user").ours("in place of Storm's 'ui.filter'");
    /// IP addresses of the proxies whose header is believed, with `header`.
    "ui.authentication.proxies": texts(&["127.0.0.1", "::1"]).ours("in place of Storm's 'ui.filter'");
    /// File with a line `name:hash` for each user, as `htpasswd -B` writes it, with `basic`.
    "ui.authentication.users.file": opt_text().ours("in place of Storm's 'ui.filter'");
    /// Address of a page with the collected logs, linked from the pages.
    "ui.central.logging.url": opt_text();
    /// Sites whose scripts may read the REST interface, such as `https://board.example.org`; `*` is any site.
    "ui.cors.origins": texts(&[]).ours("Storm always says `*`: any page that you look at can read its cluster");
    /// Address on which pages and REST are served.
    "ui.host": text("127.0.0.1").ours("Storm listens on 0.0.0.0; ours are closed unless opened");
    /// Names under which the pages are asked for, beside `localhost` and addresses. Other names are refused
    /// where nobody has to log in, if names are listed or `ui.host` is of this machine alone.
    "ui.hosts": texts(&[]).ours("Storm takes any name, and so a page whose name was made to point at it");
    /// Rows on one page of a table.
    "ui.pagination": int(1, 20).not_yet();
    /// Path under which everything is served, too, for a proxy that hands on the whole path.
    "ui.path.prefix": text("").ours("Storm's pages cannot stand under a prefix");
    /// Port on which pages and REST are served.
    "ui.port": port(8080);
    /// Address for bug reports, linked from the pages.
    "ui.project.bugtracker.url": opt_text();
    /// Title of the pages.
    "ui.title": text("Storm UI");
    /// Users who may see the pages, of those who are known. Empty: all of them.
    "ui.users": texts(&[]);
}

unused! {
    JVM {
        "ui.childopts" => "JVM options of the UI.",
    }
    WEB {
        "ui.disable.http.binding" => "Whether plain HTTP is off when HTTPS is on.",
        "ui.filter" => "Java servlet filter before every page.",
        "ui.filter.params" => "Parameters of the servlet filter.",
        "ui.header.buffer.bytes" => "Buffer for the headers of a request, in bytes.",
        "ui.http.creds.plugin" => "Java class that reads the user from a request.",
        "ui.https.enable.ssl.reload" => "Whether changed certificates are read again.",
        "ui.https.key.password" => "Password of the HTTPS key.",
        "ui.https.keystore.password" => "Password of the HTTPS key store.",
        "ui.https.keystore.path" => "Path of the HTTPS key store.",
        "ui.https.keystore.type" => "Type of the HTTPS key store.",
        "ui.https.need.client.auth" => "Whether clients must show a certificate.",
        "ui.https.port" => "Port for HTTPS.",
        "ui.https.truststore.password" => "Password of the HTTPS trust store.",
        "ui.https.truststore.path" => "Path of the HTTPS trust store.",
        "ui.https.truststore.type" => "Type of the HTTPS trust store.",
        "ui.https.want.client.auth" => "Whether clients are asked for a certificate.",
    }
    JAVA_CLASS {
        "ui.disable.spout.lag.monitoring" => "Whether the lag of Kafka spouts is left out.",
    }
}
