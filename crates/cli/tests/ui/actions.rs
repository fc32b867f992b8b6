//! What people do to topologies on the pages.

use crate::browser::Browser;
use crate::kit::wait_until;
use crate::ui::Ui;

/// Follows a button of a topology to the form that asks again.
fn ask(browser: &Browser, action: &str) {
    browser.click(&format!(".buttons a[href$='/{action}']"));
    browser.wait_for("$('#dialog').open && $('#dialog form.action')");
}

#[test]
fn a_topology_is_rebalanced_stopped_started_and_killed() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let Some(browser) = ui.browser() else { return };
    browser.open("");
    browser.click("#topologies tbody a");
    browser.wait_for("$('#workers').tBodies[0].rows.length === 3");

    ask(&browser, "rebalance");
    browser.fill("#dialog [name=workers]", "6");
    browser.fill("#dialog [name='executors.exclaim1']", "4");
    browser.click("#dialog [name=dry_run]");
    browser.wait_for("/^[0-9]+ of 15 executors would move$/.test(text('#dialog .moves h2'))");
    assert_eq!(
        browser.js("[$('#dialog [name=workers]').value, $('#dialog [name=\"executors.exclaim1\"]').value]"),
        serde_json::json!(["6", "4"])
    );
    assert_eq!(ui.listed("exclamation")["workersTotal"], 3, "it was only tried");
    browser.click("#dialog button.primary");
    browser.wait_for("text('.notice').includes('exclamation is rebalanced')");
    // The page of before is gone; this one tells by itself when it is done.
    browser.wait_for(
        "$('#workers').tBodies[0].rows.length === 6 && number('bolts', 'exclaim1', 'Executors') === 4",
    );
    wait_until("six workers run", || ui.runs_with("exclamation", 6));
    let listed = ui.listed("exclamation");
    assert_eq!([&listed["workersTotal"], &listed["executorsTotal"]], [6, 16], "{listed}");

    ask(&browser, "deactivate");
    browser.click("#dialog button.primary");
    browser.wait_for("text('.notice').includes('is deactivated')");
    browser.wait_for("text('.title .badge').toLowerCase() === 'inactive'");
    assert_eq!(ui.listed("exclamation")["status"], "INACTIVE");

    ask(&browser, "activate");
    browser.click("#dialog [data-close]");
    browser.wait_for("!$('#dialog').open");
    assert_eq!(ui.listed("exclamation")["status"], "INACTIVE", "cancelled is not done");
    ask(&browser, "activate");
    browser.click("#dialog button.primary");
    browser.wait_for("text('.notice').includes('is activated')");
    assert_eq!(ui.listed("exclamation")["status"], "ACTIVE");

    ask(&browser, "kill");
    browser.fill("#dialog [name=wait_secs]", "0");
    browser.click("#dialog button.danger");
    browser.wait_for("text('.notice').includes('exclamation is killed')");
    wait_until("it is gone", || ui.listed("exclamation").is_null());
    browser.wait_for("text('.oops h1')");
    browser.click(".oops a.button");
    browser.wait_for("text('.empty').startsWith('Nothing runs.')");
    wait_until("its workers have ended", || ui.rest("cluster/summary")["slotsUsed"] == 0);
    let troubles = browser.troubles();
    let is_of_the_kill = |trouble: &String| trouble.contains("404");
    assert!(troubles.iter().all(is_of_the_kill), "{troubles:?}");
}
