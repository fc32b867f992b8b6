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
    browser.wait_for("text('.oops h1') && text('.oops .advice') && window.same");
    let said = ui.get("/");
    assert_eq!(said.status, 503, "{said:?}");
    let said = ui.get("/api/v1/cluster/summary");
    assert!(said.status == 500 && said.body.contains("no Nimbus answers"), "as Storm has it: {said:?}");
    browser.look("nimbus-away");
    signal(nimbus, Signal::SIGCONT);
    browser.wait_for("!$('.oops') && number('bolts', 'exclaim1', 'Executed') > 0 && window.same");

    // And one that dies: the next one knows the topology, and the figures come from its workers anew.
    signal(nimbus, Signal::SIGKILL);
    wait_until("it has died", || !is_alive(nimbus));
    wait_until("another leads", || ui.storm(&["list"]).code == 0);
    let executed = "number('bolts', 'exclaim1', 'Executed')";
    browser.wait_for(&format!("!$('.oops') && {executed} > 0 && window.same"));
    let before = browser.js(executed);
    browser.wait_for(&format!("{executed} > {before} && window.same"));
}
