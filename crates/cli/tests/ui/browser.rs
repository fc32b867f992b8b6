//! Chromium, driven: what a test sees and clicks.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::http;
use crate::kit::{Cluster, DEADLINE, wait_until};

/// Functions that tests use within pages. A cell is found by the heading of its column.
const WITHIN: &str = "
    const $ = (query) => document.querySelector(query);
    const text = (query) => $(query)?.textContent.trim() ?? '';
    const row = (table, key) => $(`table[id='${table}'] tr[data-key='${key}']`);
    const cell = (table, key, heading) => {
        const headings = [...$(`table[id='${table}'] thead tr`).cells].map((th) => th.textContent.trim());
        return row(table, key)?.cells[headings.indexOf(heading)];
    };
    const number = (table, key, heading) => Number(cell(table, key, heading)?.dataset.v ?? NaN);
";
/// How wide a window of people at a desk is, and how high.
const DESK: [u32; 2] = [1280, 900];

/// Whether there is a browser here; there must be if the environment says so.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn is_here() -> bool {
    let is_there =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|o| o.status.success());
    let has_all = is_there("chromium") && is_there("chromedriver");
    let required = std::env::var("STORM_TEST_REQUIRE").is_ok_and(|names| names.contains("chromium"));
    assert!(has_all || !required, "STORM_TEST_REQUIRE names chromium, but it or chromedriver is missing");
    if !has_all {
        println!("skipped: chromium or chromedriver is missing");
    }
    has_all
}

/// A browser with one window. All that it writes is in the directory of the cluster, where none of its
/// processes is overlooked.
pub(crate) struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Child,
    /// Where the driver listens.
    address: String,
    /// What stands before all paths.
    ui: String,
    dir: PathBuf,
}

impl Browser {
    /// A browser for the pages at an address; none where there is no browser.
    pub(crate) fn start(cluster: &Cluster, ui: &str) -> Option<Browser> {
        if !is_here() {
            return None;
        }
        let dir = cluster.path("chromium");
        fs::create_dir_all(&dir).unwrap();
        let said = dir.join("chromedriver.out");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").current_dir(&dir).env("HOME", &dir).env("TMPDIR", &dir).process_group(0);
        let output = File::create(&said).unwrap();
        let driver = command.stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn().unwrap();
        let mut port = None;
        wait_until("chromedriver listens", || {
            let said = fs::read_to_string(&said).unwrap();
            port = said
                .split_once("successfully on port ")
                .and_then(|(_, rest)| rest.split_once('.')?.0.parse().ok());
            port.is_some()
        });
        let address = format!("127.0.0.1:{}", port.unwrap_or(0_u16));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let arguments = [
            "--headless=new",
            // Tests may be run by root.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            &format!("--window-size={},{}", DESK[0], DESK[1]),
            &format!("--user-data-dir={}", dir.join("profile").display()),
        ];
        let wishes = json!({
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let wishes = wishes.as_object().unwrap().clone();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let client = runtime.block_on(builder.capabilities(wishes).connect(&format!("http://{address}")));
        let client = client.unwrap_or_else(|error| panic!("no session: {error}"));
        Some(Browser { runtime, client, driver, address, ui: ui.to_owned(), dir })
    }

    /// Loads a page: a path below the UI, or a whole address.
    #[track_caller]
    pub(crate) fn open(&self, path: &str) {
        let address = if path.contains("://") { path.to_owned() } else { format!("{}{path}", self.ui) };
        self.runtime
            .block_on(self.client.goto(&address))
            .unwrap_or_else(|error| panic!("{address}: {error}"));
    }

    /// What the page is written in.
    pub(crate) fn source(&self) -> String {
        self.runtime.block_on(self.client.source()).unwrap_or_default()
    }

    /// What an expression is within the page.
    #[track_caller]
    pub(crate) fn js(&self, expression: &str) -> Value {
        self.try_js(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_js(&self, expression: &str) -> Result<Value, fantoccini::error::CmdError> {
        self.runtime.block_on(self.client.execute(&format!("{WITHIN} return {expression};"), Vec::new()))
    }

    #[track_caller]
    pub(crate) fn text(&self, query: &str) -> String {
        self.js(&format!("text(`{query}`)")).as_str().unwrap().to_owned()
    }

    /// Until an expression is true.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) {
        // While one page makes room for another there is none.
        let is_true = || self.try_js(&format!("Boolean({expression})")).is_ok_and(|value| value == true);
        let deadline = Instant::now() + DEADLINE;
        while !is_true() {
            let page = || self.js("location.href + ' ' + $('main').innerText");
            assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {expression} on {}", page());
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Clicks, as soon as it can be clicked: pages change while they are looked at.
    #[track_caller]
    pub(crate) fn click(&self, query: &str) {
        let click = async || self.client.find(Locator::Css(query)).await?.click().await;
        wait_until(&format!("{query} can be clicked"), || self.runtime.block_on(click()).is_ok());
    }

    /// Fills a field in.
    #[track_caller]
    pub(crate) fn fill(&self, query: &str, value: &str) {
        let fill = async || {
            let field = self.client.find(Locator::Css(query)).await?;
            field.clear().await?;
            field.send_keys(value).await
        };
        wait_until(&format!("{query} can be filled in"), || self.runtime.block_on(fill()).is_ok());
    }

    /// A command to what is below the page.
    #[track_caller]
    pub(crate) fn below(&self, command: &str, parameters: &Value) {
        self.driver("goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    fn driver(&self, command: &str, body: &Value) -> Value {
        let session = self.runtime.block_on(self.client.session_id()).unwrap().unwrap();
        let path = format!("/session/{session}/{command}");
        let kind = [("content-type", "application/json")];
        http::ask(&self.address, "POST", &path, &kind, &body.to_string()).json()["value"].clone()
    }

    /// What went wrong since it was asked last: uncaught errors, what a policy forbids, what does not load.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let log = self.driver("se/log", &json!({"type": "browser"}));
        let entries = log.as_array().unwrap().iter();
        entries
            .filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG")
            .map(Value::to_string)
            .collect()
    }

    /// As wide as a window; at the width of a desk that is the usual one.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.below("Emulation.setDeviceMetricsOverride", &size);
    }

    pub(crate) fn theme(&self, name: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": name}]});
        self.below("Emulation.setEmulatedMedia", &features);
    }

    /// The whole page in all its looks, as pictures for people.
    #[track_caller]
    pub(crate) fn look(&self, name: &str) {
        for (look, width, theme) in
            [("light", DESK[0], "light"), ("dark", DESK[0], "dark"), ("narrow", 400, "light")]
        {
            self.theme(theme);
            self.resize(width, DESK[1]);
            let size = self.js(
                "[document.documentElement.scrollWidth, innerWidth, document.documentElement.scrollHeight]",
            );
            let [wide, window, high] = [0, 1, 2].map(|i| size[i].as_u64().unwrap());
            assert!(wide <= window, "{name} is {wide} wide in a window of {window}");
            self.resize(width, u32::try_from(high.clamp(DESK[1].into(), 6000)).unwrap());
            let picture = self.runtime.block_on(self.client.screenshot()).unwrap();
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(format!("live-{name}-{look}.png")), picture).unwrap();
        }
        self.theme("light");
        self.resize(DESK[0], DESK[1]);
    }

    /// Whether a process of the browser is left.
    fn is_left(&self) -> bool {
        let is_its = |entry: fs::DirEntry| {
            fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.dir))
        };
        fs::read_dir("/proc").unwrap().flatten().any(is_its)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.runtime.block_on(self.client.clone().close()).ok();
        killpg(Pid::from_raw(i32::try_from(self.driver.id()).unwrap()), Signal::SIGKILL).ok();
        self.driver.wait().ok();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Whoever is left then is ended, and told of, by the cluster.
        while self.is_left() && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // The cluster shows all logs in its directory when a test fails: those of a browser help nobody.
        fs::remove_dir_all(&self.dir).ok();
    }
}
