//! Keys of Storm's servers for distributed remote procedure calls.

use super::row::unused;

unused! {
    DRPC {
        "drpc.authorizer" => "Java class that decides who may call.",
        "drpc.authorizer.acl" => "Who may call and serve which function.",
        "drpc.authorizer.acl.filename" => "File that says who may call and serve which function.",
        "drpc.authorizer.acl.strict" => "Whether functions without an entry are refused.",
        "drpc.childopts" => "JVM options of the DRPC server.",
        "drpc.disable.http.binding" => "Whether plain HTTP is off when HTTPS is on.",
        "drpc.http.creds.plugin" => "Java class that reads the user from a request.",
        "drpc.http.filter" => "Java servlet filter before every call.",
        "drpc.http.filter.params" => "Parameters of the servlet filter.",
        "drpc.http.port" => "Port for calls over HTTP.",
        "drpc.https.enable.ssl.reload" => "Whether changed certificates are read again.",
        "drpc.https.key.password" => "Password of the HTTPS key.",
        "drpc.https.keystore.password" => "Password of the HTTPS key store.",
        "drpc.https.keystore.path" => "Path of the HTTPS key store.",
        "drpc.https.keystore.type" => "Type of the HTTPS key store.",
        "drpc.https.need.client.auth" => "Whether clients must show a certificate.",
        "drpc.https.port" => "Port for calls over HTTPS.",
        "drpc.https.truststore.password" => "Password of the HTTPS trust store.",
        "drpc.https.truststore.path" => "Path of the HTTPS trust store.",
        "drpc.https.truststore.type" => "Type of the HTTPS trust store.",
        "drpc.https.want.client.auth" => "Whether clients are asked for a certificate.",
        "drpc.invocations.port" => "Port on which topologies fetch calls and return results.",
        "drpc.invocations.threads" => "Threads that serve the topologies.",
        "drpc.invocations.thrift.transport" => "Thrift transport towards the topologies.",
        "drpc.max_buffer_size" => "The largest Thrift message, in bytes.",
        "drpc.port" => "Port for calls over Thrift.",
        "drpc.queue.size" => "The most calls that wait.",
        "drpc.request.timeout.secs" => "Seconds after which a call without a result fails.",
        "drpc.servers" => "Hosts of the DRPC servers.",
        "drpc.thrift.transport" => "Thrift transport towards the callers.",
        "drpc.worker.threads" => "Threads that serve the callers.",
    }
}
