//! An nginx that runs an example of the documentation.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Uid;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::kit::{root, signal, wait_until};

/// Where Debian puts it, which not everybody has in the path.
const NGINX: &str = "/usr/sbin/nginx";
/// What Debian's own `nginx.conf` has around such files, as far as it changes anything; and nothing outside of
/// the directory.
const AROUND: &str = "
daemon off;
worker_processes 2;
pid DIR/nginx.pid;
error_log DIR/error.log info;
events {
    worker_connections 256;
}
http {
    access_log DIR/access.log;
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    sendfile on;
    tcp_nopush on;
    gzip on;
    include DIR/example.conf;
}
";

/// Whether nginx is here, and what makes certificates; they must be if the environment says so.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn is_here() -> bool {
    let runs = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    let has_all = runs(program(), "-v") && runs("openssl", "version");
    let required = std::env::var("STORM_TEST_REQUIRE").is_ok_and(|names| names.contains("nginx"));
    assert!(has_all || !required, "STORM_TEST_REQUIRE names nginx, but it or openssl is missing");
    if !has_all {
        println!("skipped: nginx or openssl is missing");
    }
    has_all
}

fn program() -> &'static str {
    if Path::new(NGINX).exists() { NGINX } else { "nginx" }
}

/// A running nginx. It is ended when this is dropped.
pub(crate) struct Nginx {
    process: Child,
    dir: PathBuf,
}

impl Nginx {
    /// Starts one with an example of `docs/nginx/`, each of these places replaced, and waits until it listens on
    /// the port.
    pub(crate) fn start(dir: PathBuf, example: &str, places: &[(&str, String)], port: u16) -> Nginx {
        let mut text = fs::read_to_string(root().join("docs/nginx").join(example)).unwrap();
        for (place, here) in places {
            assert_eq!(text.matches(place).count(), 1, "'{place}' in {example}");
            text = text.replace(place, here);
        }
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("example.conf"), text).unwrap();
        // Else root's nginx gives its processes to somebody who may not read the files of the test.
        let user = if Uid::effective().is_root() { "user root;" } else { "" };
        let around = AROUND.replace("DIR", dir.to_str().unwrap());
        fs::write(dir.join("nginx.conf"), format!("{user}{around}")).unwrap();
        let log = File::create(dir.join("start.log")).unwrap();
        let mut command = Command::new(program());
        command
            .arg("-p")
            .arg(&dir)
            .arg("-c")
            .arg(dir.join("nginx.conf"))
            .arg("-e")
            .arg(dir.join("error.log"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut nginx = Nginx { process: command.current_dir(&dir).spawn().unwrap(), dir };
        wait_until("nginx listens", || {
            let ended = nginx.process.try_wait().unwrap();
            assert!(ended.is_none(), "nginx has ended: {ended:?}: {}", nginx.log("start.log"));
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        nginx
    }

    /// A log of its own.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // At once, with its workers: connections that are held open are not waited for.
        signal(i32::try_from(self.process.id()).unwrap(), Signal::SIGTERM);
        self.process.wait().ok();
    }
}

/// A port that nobody listens on now, below those that the system gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    let mut random = StdRng::from_os_rng();
    loop {
        let port = random.random_range(10_000..32_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
