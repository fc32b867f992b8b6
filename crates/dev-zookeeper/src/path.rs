//! Paths of znodes: what is one, and what is above it.

/// Nodes that ZooKeeper itself makes, in the order of their making; they cannot be deleted.
pub(crate) const BUILT_IN: [&str; 4] = ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"];

/// The parent of a path; the root has none.
pub(crate) fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        ("", "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

/// The last part of a path.
pub(crate) fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// What the paths of all nodes below `path` begin with.
pub(crate) fn prefix_of_descendants(path: &str) -> String {
    if path == "/" { path.to_owned() } else { format!("{path}/") }
}

/// Whether a znode may have this path, by the rules of ZooKeeper's `PathUtils`.
pub(crate) fn is_valid(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let Some(below) = path.strip_prefix('/') else { return false };
    below.split('/').all(|name| !matches!(name, "" | "." | "..")) && below.chars().all(is_allowed)
}

/// ZooKeeper looks at UTF-16: what needs two units there is refused, too.
fn is_allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_absolute_and_have_no_empty_parts() {
        for path in ["/", "/a", "/a/b", "/a.b/..c", "/ä b", "/a-0000000001"] {
            assert!(is_valid(path), "{path}");
        }
        for path in ["", "a", "a/b", "//", "/a/", "/a//b", "/a/./b", "/..", "/a\0", "/\u{85}", "/\u{1f600}"] {
            assert!(!is_valid(path), "{path}");
        }
    }

    #[test]
    fn a_parent_is_all_but_the_name() {
        assert_eq!((parent("/"), name("/")), (None, ""));
        assert_eq!((parent("/a"), name("/a")), (Some("/"), "a"));
        assert_eq!((parent("/a/b"), name("/a/b")), (Some("/a"), "b"));
        assert_eq!(parent("a"), None);
    }
}
