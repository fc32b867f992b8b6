//! Who a client is, and what it may do.
//!
//! Schemes: `world` (`anyone`), `ip` (an address, or a network as `10.0.0.0/8`), `digest`
//! (`user:base64(sha1(user:password))`), and in what a client sets, `auth`: whoever it is itself.

use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest as _, Sha1};

use crate::error_code::ErrorCode;
use crate::packet::{Acl, ClientInfo};

/// What an entry of an ACL allows; bits, as the protocol has them.
pub(crate) mod permission {
    pub(crate) const READ: i32 = 1;
    pub(crate) const WRITE: i32 = 1 << 1;
    pub(crate) const CREATE: i32 = 1 << 2;
    pub(crate) const DELETE: i32 = 1 << 3;
    pub(crate) const ADMIN: i32 = 1 << 4;
}

/// Who somebody is, by one scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Where the connection comes from.
    Ip(IpAddr),
    /// `user:base64(sha1(user:password))`.
    Digest(String),
}

impl Identity {
    /// Who shows these credentials.
    pub(crate) fn authenticate(
        scheme: &str,
        credentials: &[u8],
        address: IpAddr,
    ) -> Result<Identity, ErrorCode> {
        match scheme {
            "ip" => Ok(Identity::Ip(address)),
            "digest" => {
                let text = std::str::from_utf8(credentials).map_err(|_| ErrorCode::AuthFailed)?;
                let user = text.split(':').next().unwrap_or_default();
                Ok(Identity::Digest(format!("{user}:{}", BASE64_STANDARD.encode(Sha1::digest(text)))))
            }
            _ => Err(ErrorCode::AuthFailed),
        }
    }

    fn matches(&self, scheme: &str, id: &str) -> bool {
        match self {
            Identity::Ip(address) => {
                scheme == "ip" && Network::parse(id).is_some_and(|net| net.contains(*address))
            }
            Identity::Digest(digest) => scheme == "digest" && digest == id,
        }
    }

    /// As `whoAmI` tells it: without the password's digest.
    pub(crate) fn info(&self) -> ClientInfo {
        match self {
            Identity::Ip(address) => ClientInfo { scheme: "ip".to_owned(), user: address.to_string() },
            Identity::Digest(digest) => {
                let user = digest.split(':').next().unwrap_or_default();
                ClientInfo { scheme: "digest".to_owned(), user: user.to_owned() }
            }
        }
    }
}

/// An address, or all addresses that begin with the same bits.
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Network> {
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { u32::BITS } else { u128::BITS };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Network { address, bits })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let differing = (ours.to_bits() ^ theirs.to_bits()).leading_zeros();
                differing >= self.bits
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let differing = (ours.to_bits() ^ theirs.to_bits()).leading_zeros();
                differing >= self.bits
            }
            _ => false,
        }
    }
}

/// Whether one of these may do this, or one of these things if `permissions` has several bits.
pub(crate) fn check(acl: &[Acl], permissions: i32, identities: &[Identity]) -> Result<(), ErrorCode> {
    let allows = |entry: &Acl| {
        entry.permissions & permissions != 0
            && (is_anyone(entry) || identities.iter().any(|who| who.matches(&entry.scheme, &entry.id)))
    };
    // As ZooKeeper has it: no entries are no protection.
    if acl.is_empty() || acl.iter().any(allows) { Ok(()) } else { Err(ErrorCode::NoAuth) }
}

fn is_anyone(entry: &Acl) -> bool {
    entry.scheme == "world" && entry.id == "anyone"
}

/// The ACL that is stored when a client sets this one: without duplicates, `auth` replaced.
pub(crate) fn settle(acl: &[Acl], identities: &[Identity]) -> Result<Vec<Acl>, ErrorCode> {
    let mut settled = Vec::new();
    let mut seen: Vec<&Acl> = Vec::new();
    for entry in acl.iter().filter(|entry| {
        let is_new = !seen.contains(entry);
        seen.push(entry);
        is_new
    }) {
        match entry.scheme.as_str() {
            "auth" => {
                let mut digests = identities
                    .iter()
                    .filter_map(|who| if let Identity::Digest(id) = who { Some(id) } else { None })
                    .peekable();
                digests.peek().ok_or(ErrorCode::InvalidAcl)?;
                settled.extend(digests.map(|id| Acl {
                    permissions: entry.permissions,
                    scheme: "digest".to_owned(),
                    id: id.clone(),
                }));
            }
            "digest" if entry.id.split(':').count() == 2 => settled.push(entry.clone()),
            "ip" if Network::parse(&entry.id).is_some() => settled.push(entry.clone()),
            _ if is_anyone(entry) => settled.push(entry.clone()),
            _ => return Err(ErrorCode::InvalidAcl),
        }
    }
    if settled.is_empty() { Err(ErrorCode::InvalidAcl) } else { Ok(settled) }
}

/// The ACL as someone sees it who may not set it: without the passwords' digests.
pub(crate) fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mask = |entry: &Acl| match entry.id.split_once(':') {
        Some((user, _)) if entry.scheme == "digest" => Acl { id: format!("{user}:x"), ..entry.clone() },
        _ => entry.clone(),
    };
    acl.iter().map(mask).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn entry(permissions: i32, scheme: &str, id: &str) -> Acl {
        Acl { permissions, scheme: scheme.to_owned(), id: id.to_owned() }
    }

    fn digest(credentials: &str) -> Identity {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Identity::authenticate("digest", credentials.as_bytes(), address).expect("digest always works")
    }

    #[test]
    fn a_digest_is_zookeepers() {
        // From ZooKeeper's own documentation of DigestAuthenticationProvider.generateDigest.
        let Identity::Digest(id) = digest("super:test") else { panic!("a digest") };
        assert_eq!(id, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn unknown_schemes_fail() {
        let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        assert_eq!(Identity::authenticate("sasl", b"", address), Err(ErrorCode::AuthFailed));
        assert_eq!(Identity::authenticate("world", b"anyone", address), Err(ErrorCode::AuthFailed));
    }

    #[test]
    fn permissions_are_of_the_one_who_has_them() {
        let (ann, bob) = (digest("ann:1"), digest("bob:2"));
        let Identity::Digest(id) = &ann else { panic!("a digest") };
        let acl = [entry(permission::READ, "world", "anyone"), entry(0x1f, "digest", id)];
        assert_eq!(check(&acl, permission::READ, &[]), Ok(()));
        assert_eq!(check(&acl, permission::WRITE, &[]), Err(ErrorCode::NoAuth));
        assert_eq!(check(&acl, permission::WRITE, std::slice::from_ref(&bob)), Err(ErrorCode::NoAuth));
        assert_eq!(check(&acl, permission::WRITE, &[bob, ann]), Ok(()));
        assert_eq!(check(&[], permission::ADMIN, &[]), Ok(()));
    }

    #[test]
    fn networks_hold_the_addresses_that_begin_alike() {
        let at = |address: &str| Identity::Ip(address.parse().expect("it is an address"));
        assert!(at("10.1.2.3").matches("ip", "10.0.0.0/8"));
        assert!(at("10.1.2.3").matches("ip", "10.1.2.3"));
        assert!(at("10.1.2.3").matches("ip", "0.0.0.0/0"));
        assert!(!at("10.1.2.3").matches("ip", "10.1.2.4"));
        assert!(!at("11.1.2.3").matches("ip", "10.0.0.0/8"));
        assert!(at("fe80::1").matches("ip", "fe80::/16"));
        assert!(!at("fe80::1").matches("ip", "0.0.0.0/0"));
        for wrong in ["10.0.0.0/33", "10.0.0", "10.0.0.0/x", ""] {
            assert!(Network::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn auth_stands_for_who_sets_it() {
        let ann = digest("ann:1");
        let settled = settle(&[entry(3, "auth", "")], &[ann]).expect("ann is known");
        assert_eq!((settled[0].scheme.as_str(), settled[0].permissions), ("digest", 3));
        assert_eq!(settle(&[entry(3, "auth", "")], &[]), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn an_acl_has_entries_that_make_sense_each_once() {
        let anyone = entry(31, "world", "anyone");
        assert_eq!(settle(&[], &[]), Err(ErrorCode::InvalidAcl));
        assert_eq!(settle(&[anyone.clone(), anyone.clone()], &[]), Ok(vec![anyone]));
        for wrong in
            [entry(31, "world", "me"), entry(31, "digest", "a"), entry(31, "ip", "x"), entry(31, "x", "y")]
        {
            assert_eq!(settle(&[wrong], &[]), Err(ErrorCode::InvalidAcl));
        }
    }

    #[test]
    fn a_mask_hides_digests_only() {
        let acl = [entry(1, "digest", "ann:secret="), entry(1, "ip", "::1")];
        assert_eq!(masked(&acl), [entry(1, "digest", "ann:x"), entry(1, "ip", "::1")]);
    }
}
