//! What the script of the pages does with answers that a test makes up.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::ui::Ui;

/// Streams of events that say what a test has them say; tabs that are hidden when a test says so; and nobody
/// waits for long.
const MADE_UP: &str = "
    window.sources = [];
    window.EventSource = class extends EventTarget {
        static CLOSED = 2;
        constructor(url) {
            super();
            this.url = String(url);
            this.readyState = 1;
            sources.push(this);
        }
        close() { this.readyState = 2; }
        say(data) { this.onmessage(new MessageEvent('message', { data: JSON.stringify(data) })); }
        end(reason) {
            this.dispatchEvent(new MessageEvent('end', { data: reason }));
            this.onerror();
        }
    };
    window.isOpen = (source) => source.readyState !== 2;
    window.hide = (is) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value: is });
        document.dispatchEvent(new Event('visibilitychange'));
    };
    const wait = window.setTimeout;
    window.setTimeout = (then, ms) => wait(then, Math.min(ms, 10));
    window.navigations = [];
    navigation.addEventListener('navigate', (event) => navigations.push(event.navigationType));
";

/// A browser in which streams of events are made up.
fn made_up(ui: &Ui) -> Option<Browser> {
    let browser = ui.browser()?;
    browser.below("Page.addScriptToEvaluateOnNewDocument", &json!({"source": MADE_UP}));
    Some(browser)
}

/// Has the server say that the page is another.
#[track_caller]
fn say(browser: &Browser, main: &str) {
    browser.js(&format!("sources.at(-1).say({})", json!({"title": "Cluster", "main": main})));
}

/// A table with a row for each name, and the box that filters it where it is wanted.
fn table(names: &[&str], has_box: bool) -> String {
    let rows: String =
        names.iter().map(|name| format!("<tr data-key=\"{name}\"><td>{name}</td></tr>")).collect();
    let filter = if has_box { "<input class=\"filter\" type=\"search\" data-filter=\"names\">" } else { "" };
    format!("<h1>Names</h1>{filter}<table id=\"names\"><tbody>{rows}</tbody></table>")
}

/// The rows that are seen.
fn seen(browser: &Browser) -> Value {
    browser.js("[...$('#names').tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.textContent)")
}

#[test]
fn a_page_changes_as_people_have_it() {
    let ui = Ui::start();
    let Some(browser) = made_up(&ui) else { return };
    browser.open("");
    browser.wait_for("sources.length === 1");

    // While text is selected nothing moves; then the newest page is there.
    say(&browser, &table(&["ada"], false));
    browser.js("getSelection().selectAllChildren($('main h1'))");
    say(&browser, &table(&["ada", "grace"], false));
    say(&browser, &table(&["ada", "grace", "edsger"], false));
    assert_eq!(seen(&browser), json!(["ada"]));
    assert_eq!(browser.text(".live"), "paused while text is selected");
    browser.js("getSelection().removeAllRanges()");
    browser.wait_for("text('.live') === 'live' && $('#names').tBodies[0].rows.length === 3");

    // A filter is there as long as its box.
    say(&browser, &table(&["ada", "grace", "adele"], true));
    browser.fill("[data-filter]", "ad");
    assert_eq!(seen(&browser), json!(["ada", "adele"]));
    say(&browser, &table(&["ada", "grace", "adele", "adam"], true));
    assert_eq!(browser.js("$('[data-filter]').value"), "ad");
    assert_eq!(seen(&browser), json!(["ada", "adele", "adam"]));
    say(&browser, &table(&["ada", "grace"], false));
    assert_eq!(seen(&browser), json!(["ada", "grace"]), "nobody could see why one is missing");
    say(&browser, &table(&["ada", "grace"], true));
    assert_eq!(browser.js("$('[data-filter]').value"), "");
    assert_eq!(seen(&browser), json!(["ada", "grace"]));

    // Whatever has the same key twice is there twice.
    for _ in 0..2 {
        say(&browser, &table(&["ada", "ada", "grace", "ada"], false));
        assert_eq!(seen(&browser), json!(["ada", "ada", "grace", "ada"]));
    }

    // A page that does not change is not asked for again.
    browser.js("sources.at(-1).say({title: 'Search', main: '<h1>Found</h1>', still: true})");
    assert_eq!(browser.js("[$('.live').dataset.state, isOpen(sources.at(-1))]"), json!(["off", false]));
    browser.js("(hide(true), hide(false))");
    assert_eq!(browser.js("[text('main h1'), sources.length]"), json!(["Found", 1]));
    assert_eq!(browser.troubles(), [""; 0]);
}

#[test]
fn a_fragment_is_a_place_within_the_page_and_a_refusal_is_told() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let id = ui.id_of("exclamation");
    let Some(browser) = made_up(&ui) else { return };
    for page in ["", &format!("topology/{id}")] {
        browser.open(page);
        browser.wait_for("sources.length === 1");
        browser.js("addEventListener('hashchange', () => { window.isThere = true; })");
        browser.js("(location.hash = 'main')");
        browser.wait_for("window.isThere");
        assert_eq!(
            browser.js("[navigations, sources.length]"),
            json!([["push"], 1]),
            "'{page}' is loaded again"
        );
    }
    // Other windows are other pages.
    browser.click("a[data-soft][href*='window=1d']");
    browser.wait_for("location.search === '?window=1d' && text('.switch [aria-current]') === '1d'");
    browser.js("history.back()");
    browser.wait_for("location.search === '' && text('.switch [aria-current]') === '10m'");

    browser.click(&format!(".buttons a[href$='/{id}/deactivate']"));
    browser.wait_for("$('#dialog').open");
    let refusal = "(window.fetch = async () => new Response('No Authorization: not you\\n', \
                   {status: 403, headers: {'content-type': 'text/plain; charset=utf-8'}}))";
    browser.js(refusal);
    for _ in 0..2 {
        browser.click("#dialog button.primary");
        browser.wait_for("text('#dialog .refused') === 'No Authorization: not you'");
        assert_eq!(browser.js("document.querySelectorAll('#dialog .refused').length"), 1);
    }
    assert_eq!(browser.troubles(), [""; 0]);
}

#[test]
fn a_log_is_followed_while_somebody_looks_and_the_server_lets_it() {
    let ui = Ui::start();
    let Some(browser) = made_up(&ui) else { return };
    let link = |from: &str, query: &str| {
        browser.open(from);
        browser.js(&format!("$(`{query}`).href")).as_str().unwrap().to_owned()
    };
    let logs = link("", "#nimbuses tbody td:last-child a");
    let log = link(&logs, "#files a[href*='logs/view']");
    browser.open(&log);
    browser.wait_for("sources.length === 1 && $('[data-follow]').checked");
    let lines = r#"<span class="l" id="b0">here it is</span>"#;
    browser.js(&format!("sources[0].say({})", json!({"offset": 123_456_789, "lines": lines})));
    assert_eq!(browser.text("[data-log] > :last-child"), "here it is");

    // Connections are few: a page that nobody sees keeps none.
    browser.js("hide(true)");
    assert_eq!(browser.js("sources.filter(isOpen).length"), 0);
    browser.js("hide(false)");
    assert_eq!(browser.js("sources.filter(isOpen).length"), 1);
    let resumed = browser.js("sources.at(-1).url").as_str().unwrap().to_owned();
    assert!(resumed.contains("start=123456789"), "{resumed}");

    // Reasons are told; whoever is always refused does not ask for ever.
    browser.js("(window.before = sources.length, sources.at(-1).end('the disk is on fire'))");
    assert_eq!(browser.text(".live"), "the disk is on fire");
    for after in 1..5 {
        browser.wait_for(&format!("sources.length === before + {after} && isOpen(sources.at(-1))"));
        browser.js("sources.at(-1).end('the disk is on fire')");
    }
    assert_eq!(browser.text(".live"), "not followed any more: the disk is on fire");
    assert_eq!(browser.js("[sources.filter(isOpen).length, $('[data-follow]').checked]"), json!([0, false]));
    browser.js("(hide(true), hide(false))");
    assert_eq!(browser.js("sources.filter(isOpen).length"), 0);
    browser.click("[data-follow]");
    browser.wait_for("sources.filter(isOpen).length === 1");
    assert_eq!(browser.troubles(), [""; 0]);
}
