//! The pages under a path of a name that nginx serves, over TLS, to users that it knows.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::browser::Browser;
use crate::front::{self, Nginx, free_port};
use crate::https::{Client, certificate};
use crate::kit::wait_until;
use crate::ui::Ui;

/// In the order of the letters: `ada:lovelace`, `ada:wrong`, `eve:droppings`.
const ADA: &str = "YWRhOmxvdmVsYWNl";
const WRONG: &str = "YWRhOndyb25n";
const EVE: &str = "ZXZlOmRyb3BwaW5ncw==";
/// What an event that is not held back is never longer under way, on however busy a machine.
const AT_ONCE: Duration = Duration::from_secs(20);
/// Longer than the pause between two signs of life of a page that stays the same.
const SIGN_OF_LIFE: Duration = Duration::from_secs(40);

/// The pages behind nginx. Only ada may see them; nginx knows eve as well.
struct Behind {
    // Dropped in this order: a cluster looks whether anything is left.
    nginx: Nginx,
    ui: Ui,
    client: Client,
}

impl Behind {
    fn start() -> Option<Behind> {
        if !front::is_here() {
            return None;
        }
        let ui = Ui::with(&["ui.path.prefix=/storm", "ui.authentication=header", "ui.users=[\"ada\"]"]);
        let (users, port) = (ui.path("storm.htpasswd"), free_port());
        let line = |(name, password)| format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap());
        fs::write(&users, [("ada", "lovelace"), ("eve", "droppings")].map(line).concat()).unwrap();
        let (key, certificate) = certificate(&ui.path(""));
        let places = [
            ("listen 443 ", format!("listen 127.0.0.1:{port} ")),
            ("server 127.0.0.1:8080;", format!("server {};", ui.address)),
            ("/etc/ssl/certs/storm.example.org.pem", certificate.display().to_string()),
            ("/etc/ssl/private/storm.example.org.key", key.display().to_string()),
            (
                "auth_basic_user_file /etc/nginx/storm.htpasswd;",
                format!("auth_basic_user_file {};", users.display()),
            ),
        ];
        let nginx = Nginx::start(ui.path("nginx"), "ui.conf", &places, port);
        Some(Behind { nginx, ui, client: Client { port, login: Some(ADA) } })
    }

    fn with(&self, login: Option<&'static str>) -> Client {
        Client { port: self.client.port, login }
    }

    /// Straight to the pages from an address of loopback, as ada.
    fn past_nginx(&self, from: Ipv4Addr) -> String {
        let to: SocketAddr = self.ui.address.parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((from, 0).into()).unwrap();
            let mut stream = socket.connect(to).await.unwrap();
            let head = "GET /storm/ HTTP/1.0\r\nhost: ui\r\nx-forwarded-user: ada\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.lines().next().unwrap_or_default().to_owned()
        })
    }
}

/// Where a relative address leads from a path.
fn resolved(path: &str, relative: &str) -> String {
    let mut names: Vec<&str> = path.split('/').collect();
    names.pop();
    for name in relative.split('/') {
        match name {
            ".." => drop(names.pop()),
            "." => {}
            name => names.push(name),
        }
    }
    names.join("/")
}

#[test]
fn pages_events_and_commands_work_under_a_path() {
    let Some(behind) = Behind::start() else { return };
    behind.ui.submit("exclamation", &[], &[]);
    let id = behind.ui.id_of("exclamation");
    let client = &behind.client;
    let authority = client.authority();
    let here = format!("https://{authority}");

    // A page that stays the same for ever: there is nothing that would push its events out of a buffer.
    let still = client.stream("/storm/live?page=/no-such-page");
    still.next(AT_ONCE, |line| line.starts_with("data:") && line.contains("There is no such page."));
    let live = client.stream(&format!("/storm/live?page=/topology/{id}"));
    live.next(AT_ONCE, |line| line.starts_with("data:"));

    let moved = client.get("/storm", &[]);
    assert!((300..400).contains(&moved.status), "{moved:?}");
    assert_eq!(moved.header("location"), format!("{here}/storm/"));
    let page = client.get("/storm/", &[]);
    assert_eq!(page.status, 200, "{page:?}");
    let links = ["href=\"", "src=\"", "action=\""].into_iter().flat_map(|name| page.body.split(name).skip(1));
    let links: Vec<&str> = links.filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() > 10, "{links:?}");
    let ours: Vec<_> = links.iter().filter(|link| link.starts_with('/') || link.contains("://")).collect();
    assert!(ours.is_empty(), "all links are relative: {ours:?}");
    for asset in ["app.css", "app.js", "favicon.svg"] {
        let asset = page.body.split('"').find(|text| text.contains(asset)).expect("the page names it");
        let loaded = client.get(&resolved("/storm/", asset), &[]);
        assert!(loaded.status == 200 && !loaded.body.is_empty(), "{asset}: {loaded:?}");
    }
    let packed = client.get("/storm/", &[("accept-encoding", "gzip")]);
    assert_eq!(packed.header("content-encoding"), "gzip");

    let nimbuses = client.get("/storm/api/v1/nimbus/summary", &[]).json();
    let link = nimbuses["nimbuses"][0]["nimbusLogLink"].as_str().unwrap();
    assert!(link.starts_with(&format!("{here}/storm/")), "{link}");
    let missing = client.get("/storm/api/v1/topology/no%2Fsuch", &[]);
    assert!(missing.body.contains("no/such"), "a path is handed on as it is: {missing:?}");
    for path in ["/health", "/metrics", "/storm/metrics", "/api/v1/cluster/summary"] {
        assert_eq!(client.get(path, &[]).status, 404, "{path} is not for everybody");
    }

    // Forms: ours, and not those of others, who cannot say either that they are ours.
    let path = format!("/storm/topology/{id}/deactivate");
    let status = || behind.ui.listed("exclamation")["status"].clone();
    let evil = ("origin", "https://evil.example");
    let others: [&[(&str, &str)]; 4] = [
        &[evil],
        &[evil, ("x-forwarded-host", "evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "https://storm.example.org")],
    ];
    for others in others {
        let refused = client.post(&path, others, "");
        assert_eq!(refused.status, 403, "{others:?}: {refused:?}");
        let refused = client.post(&format!("/storm/api/v1/topology/{id}/deactivate"), others, "");
        assert_eq!(refused.status, 403, "{others:?}: {refused:?}");
    }
    assert_eq!(status(), "ACTIVE", "nothing was done");
    let done = client.post(&path, &[("origin", &here)], "");
    assert_eq!((done.status, status()), (303, "INACTIVE".into()), "{done:?}");
    live.next(AT_ONCE, |line| line.starts_with("data:") && line.contains("its spouts do not emit"));
    let told = client.get(&resolved(&path, done.header("location")), &[]);
    assert!(told.body.contains("exclamation is deactivated."), "{told:?}");
    let done = client.post(&format!("/storm/api/v1/topology/{id}/activate"), &[("origin", &here)], "");
    assert_eq!((done.json()["status"].clone(), status()), ("success".into(), "ACTIVE".into()));

    // nginx gives up what is silent for as long as `proxy_read_timeout`: this never is.
    still.next(SIGN_OF_LIFE, |line| line.starts_with(':'));
    assert!(behind.nginx.log("access.log").contains("\"POST /storm/topology/"), "it went this way");
}

#[test]
fn the_user_is_whom_nginx_knows() {
    let Some(behind) = Behind::start() else { return };
    let user = |client: &Client, headers: &[(&str, &str)]| {
        client.get("/storm/api/v1/cluster/summary", headers).json()["user"].clone()
    };
    for login in [None, Some(WRONG)] {
        for path in ["/storm/", "/storm/live?page=/", "/storm/api/v1/cluster/summary", "/storm/assets/app.js"]
        {
            let forged = [("x-forwarded-user", "ada")];
            assert_eq!(behind.with(login).get(path, &forged).status, 401, "{path} as {login:?}");
        }
    }
    assert_eq!(user(&behind.client, &[]), "ada");
    assert_eq!(user(&behind.client, &[("x-forwarded-user", "eve")]), "ada", "what a client says is replaced");
    let refused = behind.with(Some(EVE)).get("/storm/", &[("x-forwarded-user", "ada")]);
    assert_eq!(refused.status, 403, "nginx knows eve, the pages do not let her in: {refused:?}");

    // Past nginx: without the header, and with it from an address that is not nginx's.
    assert_eq!(behind.ui.get("/").status, 401);
    assert_eq!(behind.ui.get("/api/v1/cluster/summary").status, 401);
    let stranger = behind.past_nginx(Ipv4Addr::new(127, 0, 0, 3));
    assert!(stranger.contains(" 401 "), "{stranger}");
    // Who is on the machine of nginx can say what it says; the documentation tells.
    let neighbour = behind.past_nginx(Ipv4Addr::LOCALHOST);
    assert!(neighbour.contains(" 200 "), "{neighbour}");
}

#[test]
fn a_browser_notices_nothing_of_nginx() {
    let Some(behind) = Behind::start() else { return };
    behind.ui.submit("exclamation", &[], &[]);
    let id = behind.ui.id_of("exclamation");
    let site = format!("https://localhost:{}/storm/", behind.client.port);
    let Some(browser) = Browser::start(&behind.ui, &site) else { return };
    // The certificate is one that nobody knows.
    browser.below("Security.setIgnoreCertificateErrors", &json!({"ignore": true}));
    browser.open(&site.replace("https://", "https://ada:lovelace@"));
    // From here on it sends name and password by itself.
    browser.open("");
    assert_eq!(browser.text(".user"), "ada");
    assert_eq!(browser.js("performance.getEntriesByType('navigation')[0].nextHopProtocol"), "h2");
    browser.wait_for("$('.live').dataset.state === 'live'");
    browser.click("#topologies tbody a");
    browser.wait_for(&format!("location.pathname === '/storm/topology/{id}' && text('main h1')"));
    browser.wait_for("$('.live').dataset.state === 'live' && number('bolts', 'exclaim1', 'Executed') > 0");
    let before = browser.js("number('bolts', 'exclaim1', 'Executed')");
    browser.wait_for(&format!("number('bolts', 'exclaim1', 'Executed') > {before}"));

    browser.click(".buttons a[href$='/deactivate']");
    browser.wait_for("$('#dialog').open && $('#dialog form.action')");
    browser.click("#dialog button.primary");
    browser.wait_for("text('.notice').includes('is deactivated')");
    browser.wait_for(&format!("location.pathname === '/storm/topology/{id}'"));
    wait_until("it is deactivated", || behind.ui.listed("exclamation")["status"] == "INACTIVE");

    // And as a browser of before does it.
    browser.below("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&format!("topology/{id}"));
    browser.click(&format!(".buttons a[href$='/{id}/activate']"));
    browser.click("form.action button.primary");
    wait_until("it is activated", || behind.ui.listed("exclamation")["status"] == "ACTIVE");
    wait_until("the page tells it", || browser.source().contains("exclamation is activated."));
    assert_eq!(browser.troubles(), [""; 0]);
}
