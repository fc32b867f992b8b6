//! Pages while nobody can be asked.

use nix::sys::signal::Signal;

use crate::kit::{is_alive, signal, wait_until};
use crate::ui::Ui;

#[test]
fn a_page_tells_that_nimbus_is_away_and_goes_on_when_it_is_back() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let id = ui.id_of("exclamation");
    let Some(browser) = ui.browser() else { return };
    browser.open(&format!("topology/{id}"));
    browser.wait_for("$('.live').dataset.state === 'live' && number('bolts', 'exclaim1', 'Executed') > 0");
    browser.js("(window.same = true)");

    // Dev starts one that has died again, before anybody could look.
    let [nimbus] = ui.daemons("nimbus")[..] else { panic!("one nimbus: {:?}", ui.processes()) };
    signal(nimbus, Signal::SIGSTOP);
    browser.wait_for("$('.live').dataset.state === 'away' && window.same");
    let told = browser.text(".live");
    assert!(told.starts_with("no answer from Nimbus since ") && told.ends_with(" UTC"), "{told}");
    let executed = "number('bolts', 'exclaim1', 'Executed')";
    assert_eq!(browser.js(&format!("!$('.oops') && {executed} > 0 && !$('.stale').hidden")), true);
    browser.look("nimbus-away");
    let said = ui.get("/");
    assert_eq!(said.status, 503, "{said:?}");
    let said = ui.get("/api/v1/cluster/summary");
    assert!(said.status == 500 && said.body.contains("no Nimbus answers"), "as Storm has it: {said:?}");
    let told_in_words = ui.get(&format!("/topology/{id}"));
    assert_eq!(told_in_words.status, 503, "{told_in_words:?}");
    signal(nimbus, Signal::SIGCONT);
    let is_live = "$('.live').dataset.state === 'live' && $('.stale').hidden && window.same";
    browser.wait_for(&format!("{is_live} && {executed} > 0"));
    // Who comes while nobody answers sees why, and then the page.
    signal(nimbus, Signal::SIGSTOP);
    // What it answered right before is given again for a moment.
    wait_until("nobody answers", || ui.get(&format!("/topology/{id}")).status == 503);
    browser.open(&format!("topology/{id}"));
    browser.wait_for("text('.oops h1') && text('.oops .advice') && text('.oops .what')");
    browser.wait_for("$('.live').dataset.state === 'away' && $('.stale').hidden");
    browser.js("(window.same = true)");
    browser.look("nimbus-away-from-the-beginning");
    signal(nimbus, Signal::SIGCONT);
    browser.wait_for(&format!("!$('.oops') && {is_live} && {executed} > 0"));

    // And one that dies: the next one knows the topology, and the figures come from its workers anew.
    signal(nimbus, Signal::SIGKILL);
    wait_until("it has died", || !is_alive(nimbus));
    wait_until("another leads", || ui.storm(&["list"]).code == 0);
    browser.wait_for(&format!("!$('.oops') && {executed} > 0 && window.same"));
    let before = browser.js(executed);
    browser.wait_for(&format!("{executed} > {before} && window.same"));
}
