//! Files of the pages, within the binary.

use std::sync::LazyLock;

use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

/// Name, type and content.
const ASSETS: [(&str, &str, &str); 3] = [
    ("app.css", "text/css; charset=utf-8", include_str!("../../assets/app.css")),
    ("app.js", "text/javascript; charset=utf-8", include_str!("../../assets/app.js")),
    ("favicon.svg", "image/svg+xml", include_str!("../../assets/favicon.svg")),
];

/// Of all of them, so that what was kept of another version is not used.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    // FNV-1a: this is no secret.
    let bytes = ASSETS.iter().flat_map(|(.., content)| content.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
});

/// The name of an asset with its version.
pub(super) fn name(asset: &str) -> String {
    format!("{asset}?v={}", *VERSION)
}

/// An asset. It may be kept for a year: another version has another address.
pub(super) fn response(asked: &str) -> Response {
    match ASSETS.iter().find(|(name, ..)| *name == asked) {
        Some((_, kind, content)) => {
            ([(CONTENT_TYPE, *kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")], *content)
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_found_by_their_names_alone() {
        assert_eq!(response("app.css").status(), StatusCode::OK);
        assert_eq!(response("../Cargo.toml").status(), StatusCode::NOT_FOUND);
        assert!(name("app.js").starts_with("app.js?v="));
    }
}
