//! Names that belong to the system.

/// Prefix of every component, stream and resource name that users may not take (as in Storm).
pub const SYSTEM_PREFIX: &str = "__";

/// Whether users may not take `name`.
pub fn is_system_name(name: &str) -> bool {
    name.starts_with(SYSTEM_PREFIX)
}
