//! Logs as they are searched and followed.

use crate::kit::wait_until;
use crate::ui::Ui;

#[test]
fn a_text_is_found_and_what_follows_is_seen() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let Some(browser) = ui.browser() else { return };
    browser.open("logs");
    browser.click("#of-topologies tbody a");
    browser.wait_for("$('#files')?.tBodies[0].rows.length >= 3");
    // One word in fifty is printed, and one in five of those is this one.
    let found = || {
        browser.fill("form.logsearch [name=text]", "nathan!!!!!!");
        browser.click("form.logsearch button.primary");
        browser.wait_for("text('main h1').includes('match')");
        browser.js("Boolean($('.hits li a'))") == true
    };
    wait_until("a word is found", found);
    assert_eq!(browser.text(".hits mark"), "nathan!!!!!!");
    let excerpt = browser.text(".hits li a");
    browser.click(".hits li a");
    browser.wait_for("text('#hit') === 'nathan!!!!!!'");
    // It was shown with all of its line.
    assert_eq!(browser.js("$('#hit').closest('.l').textContent.trim()"), excerpt);
    assert_eq!(browser.text(".crumbs > :last-child"), "exclamation");
    browser.wait_for(
        "(({top, bottom}) => top >= 0 && bottom <= innerHeight)($('#hit').getBoundingClientRect())",
    );

    browser.js("(window.same = true)");
    browser.wait_for("text('.live') === 'following' && $('[data-follow]').checked");
    let lines = browser.js("$('[data-log]').childElementCount").as_u64().unwrap();
    browser.wait_for(&format!("$('[data-log]').childElementCount > {lines} && window.same"));
    let last = browser.text("[data-log] > :last-child");
    assert!(last.ends_with("!!!!!!"), "{last}");
    assert_eq!(browser.troubles(), [""; 0]);
}
