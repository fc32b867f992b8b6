//! What is changed in workers that run: log levels, and which tuples are sampled.

use crate::kit::wait_until;
use crate::ui::Ui;

#[test]
fn levels_and_samples_are_set_and_seen() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let id = ui.id_of("exclamation");
    let Some(browser) = ui.browser() else { return };
    browser.open(&format!("topology/{id}"));

    browser.click(".buttons a[href$='/log-levels']");
    browser.fill("#dialog [name=logger]", "storm_worker");
    browser.js("($('#dialog [name=level]').value = 'DEBUG')");
    browser.js("($('#dialog [name=reset_level]').value = 'WARN')");
    browser.click("#dialog button.primary");
    browser.wait_for("text('.notice').includes('exclamation logs storm_worker at DEBUG, and then at WARN.')");
    browser.wait_for("text('.well.busy').includes('storm_worker logs at DEBUG until ')");
    browser.wait_for("text('.well.busy').includes(' UTC, then at WARN.')");

    // All of them, so that there are some at once.
    browser.click(".buttons a[href$='/debug']");
    browser.fill("#dialog [name=sampling_percent]", "100");
    browser.js("($('#dialog [name=component]').value = 'exclaim1')");
    browser.click("#dialog button.primary");
    browser.wait_for("text('.well.busy').includes('of the tuples of exclaim1')");
    let events =
        "[...document.querySelectorAll('#files a')].find((a) => a.textContent.endsWith('events.log'))";
    wait_until("there are samples", || {
        browser.open(&format!("logs?topology={id}"));
        browser.js(&format!("Boolean({events})")) == true
    });
    browser.js(&format!("{events}.click()"));
    browser.wait_for("text('[data-log]').includes('exclaim1')");

    browser.open(&format!("topology/{id}/debug"));
    browser.fill("form.action [name=sampling_percent]", "0");
    browser.js("($('form.action [name=component]').value = 'exclaim1')");
    browser.click("form.action button.primary");
    browser.wait_for("$('#bolts') && !text('.well.busy').includes('Sampling')");
    assert_eq!(browser.troubles(), [""; 0]);
}
