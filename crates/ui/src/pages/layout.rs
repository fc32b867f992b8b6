//! What is around each page: its head, the way to the others, the search, the theme.

use askama::Template;
use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use crate::app::App;
use crate::guard::User;
use crate::pages::{Ask, Page, assets};

/// Light, dark, or as the system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Light,
    Dark,
    System,
}

impl Theme {
    fn parse(name: &str) -> Option<Theme> {
        match name {
            "light" => Some(Theme::Light),
            "dark" => Some(Theme::Dark),
            "system" => Some(Theme::System),
            _ => None,
        }
    }

    /// The cookie that keeps it.
    fn cookie(self) -> &'static str {
        match self {
            Theme::Light => "storm-theme=light; Path=/; Max-Age=31536000; SameSite=Lax",
            Theme::Dark => "storm-theme=dark; Path=/; Max-Age=31536000; SameSite=Lax",
            Theme::System => "storm-theme=; Path=/; Max-Age=0; SameSite=Lax",
        }
    }
}

/// The theme by the page's parameter, else by the cookie; and the cookie to set where it was chosen now.
pub(super) fn theme(asked: &str, headers: &HeaderMap) -> (Theme, Option<&'static str>) {
    if let Some(theme) = Theme::parse(asked) {
        return (theme, Some(theme.cookie()));
    }
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let kept = pairs.find(|(name, _)| *name == "storm-theme").and_then(|(_, value)| Theme::parse(value));
    (kept.unwrap_or(Theme::System), None)
}

#[derive(Template)]
#[template(path = "layout.html")]
struct Layout<'a> {
    root: &'a str,
    title: &'a str,
    /// Of the whole UI.
    product: &'a str,
    theme: &'static str,
    /// The same page with the other theme.
    other_theme: String,
    /// What keeps the page live; empty when nothing does.
    again: &'a str,
    section: &'a str,
    query: &'a str,
    user: &'a str,
    notice: Option<&'a str>,
    bugtracker: Option<&'a str>,
    central_log: Option<&'a str>,
    css: String,
    js: String,
    main: &'a str,
}

/// The page with what is around it.
pub(super) fn around(app: &App, user: &User, ask: &Ask, theme: Theme, page: &Page) -> String {
    let section = match ask.path.first().map(String::as_str) {
        None | Some("topology" | "supervisor") => "cluster",
        Some(section) => section,
    };
    let layout = Layout {
        root: &ask.root,
        title: &page.title,
        product: &app.options.title,
        theme: match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
            Theme::System => "",
        },
        other_theme: ask.with("theme", if theme == Theme::Dark { "light" } else { "dark" }),
        again: if page.is_live { &ask.again } else { "" },
        section,
        query: if section == "search" { ask.get("q") } else { "" },
        user: user.name(),
        notice: ask.notice.as_deref(),
        bugtracker: app.options.bugtracker.as_deref().and_then(web),
        central_log: app.options.central_log.as_deref().and_then(web),
        css: assets::name("app.css"),
        js: assets::name("app.js"),
        main: &page.main,
    };
    layout.render().expect("templates write to a String, and none of ours fails")
}

/// An address that may stand in a link.
fn web(address: &str) -> Option<&str> {
    (address.starts_with("https://") || address.starts_with("http://")).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_that_was_chosen_is_kept() {
        let mut headers = HeaderMap::new();
        assert_eq!(theme("", &headers), (Theme::System, None));
        headers.insert(COOKIE, "a=b; storm-theme=dark".parse().unwrap());
        assert_eq!(theme("", &headers), (Theme::Dark, None));
        assert_eq!(theme("light", &headers), (Theme::Light, Some(Theme::Light.cookie())));
        assert_eq!(theme("pink", &headers).0, Theme::Dark);
    }

    #[test]
    fn only_addresses_of_the_web_become_links() {
        assert_eq!(web("javascript:alert(1)"), None);
        assert!(web("https://bugs.example.org").is_some());
    }
}
