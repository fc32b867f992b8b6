//! Who may do what, and pages without scripts: as a browser of before sends it.

use std::fs;

use crate::http;
use crate::kit::wait_until;
use crate::ui::Ui;

#[test]
fn without_scripts_a_form_does_it_but_not_from_other_sites() {
    let ui = Ui::start();
    ui.submit("exclamation", &[], &[]);
    let id = ui.id_of("exclamation");
    let path = format!("/topology/{id}/deactivate");
    let status = || ui.listed("exclamation")["status"].clone();

    for site in
        [[("origin", "http://evil.example"), ("x-a", "")], [("sec-fetch-site", "cross-site"), ("x-a", "")]]
    {
        let refused = ui.post(&path, &site, "");
        assert_eq!(refused.status, 403, "{refused:?}");
        let refused = ui.post(&format!("/api/v1/topology/{id}/deactivate"), &site, "");
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    assert_eq!(status(), "ACTIVE", "nothing was done");
    let ours = format!("http://{}", ui.address);
    let done = ui.post(&path, &[("origin", &ours)], "");
    assert_eq!(done.status, 303, "{done:?}");
    assert_eq!(status(), "INACTIVE");
    let done = ui.post(&format!("/topology/{id}/activate"), &[], "");
    assert_eq!((done.status, status()), (303, "ACTIVE".into()), "{done:?}");

    let Some(browser) = ui.browser() else { return };
    browser.below("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": true}));
    browser.open(&format!("topology/{id}"));
    browser.click(&format!(".buttons a[href$='/{id}/deactivate']"));
    browser.click("form.action button.primary");
    wait_until("it is deactivated", || status() == "INACTIVE");
    wait_until("the page tells it", || browser.source().contains("exclamation is deactivated."));
}

#[test]
fn where_nothing_may_be_done_nothing_is_offered() {
    let ui = Ui::with(&["ui.actions.enabled=false", "ui.path.prefix=/storm"]);
    ui.submit("exclamation", &[], &[]);
    let id = ui.id_of("exclamation");
    let page = ui.get(&format!("/topology/{id}"));
    assert_eq!(page.status, 200);
    for action in ["activate", "deactivate", "rebalance", "kill", "log-levels", "debug", "restart"] {
        assert!(!page.body.contains(&format!("/{action}\"")), "{action} is offered");
        assert_eq!(ui.get(&format!("/topology/{id}/{action}")).status, 403, "{action}");
        let refused = ui.post(&format!("/topology/{id}/{action}"), &[], "");
        assert_eq!(refused.status, 403, "{action}: {refused:?}");
    }
    let refused = ui.post(&format!("/api/v1/topology/{id}/kill/0"), &[], "");
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(ui.listed("exclamation")["status"], "ACTIVE");

    // A proxy may have a path for it.
    let moved = http::get(&ui.address, "/storm");
    assert_eq!(
        (moved.status, moved.header("location")),
        (303, "storm/"),
        "relative: nothing is known of proxies"
    );
    let Some(browser) = ui.browser() else { return };
    browser.open("");
    browser.click("#topologies tbody a");
    browser.wait_for(&format!("location.pathname === '/storm/topology/{id}' && text('main h1')"));
    browser.wait_for("$('.live').dataset.state === 'live'");
    browser.click("#workers td.links a");
    browser.wait_for("location.pathname.startsWith('/storm/logs') && text('main h1')");
    browser.click("nav a[href$='config']");
    browser.wait_for("location.pathname === '/storm/config' && text('main h1') === 'Configuration'");
    assert_eq!(browser.troubles(), [""; 0]);
}

#[test]
fn with_passwords_only_those_who_know_one_see_it() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users");
    // The cheapest: it is the check that is tested, not how long it takes.
    fs::write(&users, format!("ada:{}\n", bcrypt::hash("love:lace", 4).unwrap())).unwrap();
    let file = format!("ui.authentication.users.file={}", users.display());
    let ui = Ui::with(&["ui.authentication=basic", &file]);
    let with = |login: &str| http::ask(&ui.address, "GET", "/", &[("authorization", login)], "");
    for path in ["/", "/api/v1/cluster/summary", "/live?page=/", "/assets/app.js"] {
        let refused = ui.get(path);
        assert_eq!(refused.status, 401, "{path}: {refused:?}");
        assert!(refused.header("www-authenticate").starts_with("Basic "), "{refused:?}");
    }
    assert_eq!(ui.get("/health").status, 200, "a load balancer knows no password");
    assert_eq!(with("Basic YWRhOndyb25n").status, 401, "ada:wrong");
    let page = with("Basic YWRhOmxvdmU6bGFjZQ==");
    assert_eq!(page.status, 200, "ada:love:lace");
    assert!(page.body.contains("class=\"user\"") && page.body.contains(">ada<"), "it says who one is");
}
