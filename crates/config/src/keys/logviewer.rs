//! Keys of the log viewer.

use super::row::{int, opt_int, port, table, unused};

table! {
    /// Minutes after which the logs of a worker that is gone are deleted.
    "logviewer.cleanup.age.mins": int(1, 10_080);
    /// Seconds between two clean-ups of old logs. Unset: no clean-up by age.
    "logviewer.cleanup.interval.secs": opt_int(1);
    /// The most megabytes of logs that one worker keeps.
    "logviewer.max.per.worker.logs.size.mb": int(1, 2048);
    /// The most megabytes of logs that all workers of a host keep.
    "logviewer.max.sum.worker.logs.size.mb": int(1, 4096);
    /// Port on which the logs of a host's workers are served.
    "logviewer.port": port(8000).not_yet();
}

unused! {
    JVM {
        "logviewer.childopts" => "JVM options of the log viewer.",
    }
    LOGGING {
        "logviewer.appender.name" => "The log4j appender whose files are shown.",
    }
    WEB {
        "logviewer.disable.http.binding" => "Whether plain HTTP is off when HTTPS is on.",
        "logviewer.filter" => "Java servlet filter before every page.",
        "logviewer.filter.params" => "Parameters of the servlet filter.",
        "logviewer.https.enable.ssl.reload" => "Whether changed certificates are read again.",
        "logviewer.https.key.password" => "Password of the HTTPS key.",
        "logviewer.https.keystore.password" => "Password of the HTTPS key store.",
        "logviewer.https.keystore.path" => "Path of the HTTPS key store.",
        "logviewer.https.keystore.type" => "Type of the HTTPS key store.",
        "logviewer.https.need.client.auth" => "Whether clients must show a certificate.",
        "logviewer.https.port" => "Port for HTTPS.",
        "logviewer.https.truststore.password" => "Password of the HTTPS trust store.",
        "logviewer.https.truststore.path" => "Path of the HTTPS trust store.",
        "logviewer.https.truststore.type" => "Type of the HTTPS trust store.",
        "logviewer.https.want.client.auth" => "Whether clients are asked for a certificate.",
    }
}
