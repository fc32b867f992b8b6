//! Every page of a cluster that runs.

use std::collections::BTreeSet;

use crate::ui::Ui;

#[test]
fn every_page_loads_is_live_and_fits() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let numbers = ui.submit_numbers();
    let Some(browser) = ui.browser() else { return };
    let link = |from: &str, query: &str| {
        browser.open(from);
        browser.js(&format!("$(`{query}`).href")).as_str().unwrap().to_owned()
    };
    let topology = format!("topology/{numbers}");
    let supervisor = link("", "#supervisors tbody a");
    let logs = link("", "#supervisors tbody td:last-child a");
    let daemon_log = link(&logs, "#files a[href*='daemon=1']");
    let logs_of_topology = link(&topology, ".buttons a[href*='logs?topology=']");
    let worker_log = link(&topology, "#workers td.links a");

    let pages = [
        ("cluster", "".to_owned()),
        ("topology", topology.clone()),
        ("topology-of-all-time", format!("{topology}?window=all")),
        ("spout", format!("{topology}/component/source")),
        ("bolt", format!("{topology}/component/relay1")),
        ("rebalance", format!("{topology}/rebalance")),
        ("supervisor", supervisor),
        ("nimbus", "nimbus".to_owned()),
        ("configuration", "config".to_owned()),
        ("logs", "logs".to_owned()),
        ("logs-of-topology", logs_of_topology),
        ("worker-log", worker_log),
        ("daemon-log", daemon_log),
        ("log-search", format!("logs/search?text=worker&topology={numbers}")),
        ("search", "search?q=rel".to_owned()),
    ];
    let mut titles = BTreeSet::new();
    for (name, page) in &pages {
        browser.open(page);
        browser.wait_for("document.readyState === 'complete' && text('main h1')");
        titles.insert(browser.js("document.title").to_string());
        if browser.js("Boolean(document.body.dataset.live)") == true {
            browser.wait_for("$('.live').dataset.state === 'live'");
        }
        assert_eq!(browser.js("$('.oops') && $('main').innerText"), serde_json::Value::Null, "{name}");
        browser.look(name);
        assert_eq!(browser.troubles(), [""; 0], "{name}");
    }
    assert!(titles.len() >= pages.len() - 2, "each says what it is: {titles:?}");
}

/// `dev` has two supervisors on one machine.
#[test]
fn supervisors_of_one_machine_are_told_apart() {
    let ui = Ui::start();
    let Some(browser) = ui.browser() else { return };
    browser.open("");
    browser.wait_for("document.querySelectorAll('.slotmap .host').length === 2");
    for query in [".slotmap .host", "#supervisors tbody td:first-child"] {
        let names =
            browser.js(&format!("[...document.querySelectorAll('{query}')].map((a) => a.textContent)"));
        let names: BTreeSet<String> =
            names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        assert!(names.len() == 2 && names.iter().all(|name| name.contains(':')), "{query}: {names:?}");
    }
    let name = browser.text("#supervisors tbody a");
    browser.click("#supervisors tbody a");
    browser.wait_for("location.pathname.startsWith('/supervisor/')");
    assert_eq!([browser.text("main h1"), browser.text(".crumbs > :last-child")], [name.clone(), name]);
}

#[test]
fn figures_change_while_one_looks() {
    let ui = Ui::start();
    let id = ui.submit_numbers();
    let Some(browser) = ui.browser() else { return };
    for (page, figure) in [
        (String::new(), "Number($('#topologies tbody tr').cells[6].dataset.v)"),
        (format!("topology/{id}"), "number('bolts', 'relay1', 'Executed')"),
        (format!("topology/{id}/component/relay1"), "number('inputs', 'source/default', 'Executed')"),
        (format!("topology/{id}/component/source"), "number('streams', 'default', 'Acked')"),
    ] {
        browser.open(&page);
        browser.js("(window.same = true)");
        browser.wait_for(&format!("{figure} > 0"));
        let before = browser.js(figure);
        // A rate may fall.
        browser.wait_for(&format!("{figure} !== {before} && window.same"));
    }
    assert_eq!(browser.troubles(), [""; 0]);
}
