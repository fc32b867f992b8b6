//! Jute, ZooKeeper's serialisation, with what a fuzzer draws in it: mostly what makes sense.

use arbitrary::{Result, Unstructured};

/// Writes fields, a letter each:
///
/// ```text
/// p path   v version   f flags   d data     a ACL         b boolean   k password
/// s session, or owner  l long    t scheme   w paths, as a vector
/// ```
pub fn fields(shape: &str, u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    for field in shape.chars() {
        match field {
            'p' => text(&path(u)?, out),
            'v' => int(u.int_in_range(-1..=3)?, out),
            'f' => int(u.int_in_range(0..=7)?, out),
            'd' => data(u, out)?,
            'a' => vector(u, 3, out, |u, out| {
                int(u.int_in_range(0..=0x1f)?, out);
                scheme(u, out)?;
                let id = ["anyone", "me:x", "127.0.0.1", "10.0.0.0/8", "::/0", ""];
                text(u.choose(&id)?, out);
                Ok(())
            })?,
            'b' => out.push(u.int_in_range(0..=2)?),
            'k' => buffer(&[u.int_in_range(0..=2)?; 16], out),
            's' => long(i64::from(u.int_in_range(0..=3_u8)?), out),
            'l' => long(any_long(u)?, out),
            't' => scheme(u, out)?,
            'w' => vector(u, 4, out, |u, out| fields("p", u, out))?,
            _ => unreachable!("the letters are those above"),
        }
    }
    Ok(())
}

/// A vector of up to `max` elements.
pub fn vector(
    u: &mut Unstructured<'_>,
    max: u8,
    out: &mut Vec<u8>,
    mut element: impl FnMut(&mut Unstructured<'_>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let count = u.int_in_range(0..=max)?;
    int(count.into(), out);
    (0..count).try_for_each(|_| element(u, out))
}

pub fn int(number: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub fn long(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub fn text(text: &str, out: &mut Vec<u8>) {
    buffer(text.as_bytes(), out);
}

pub fn buffer(bytes: &[u8], out: &mut Vec<u8>) {
    int(i32::try_from(bytes.len()).expect("inputs are small"), out);
    out.extend_from_slice(bytes);
}

/// Replaces, cuts or lengthens, now and then.
pub fn mangle(u: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Result<()> {
    while rarely(u)? {
        let at = if bytes.is_empty() { 0 } else { u.choose_index(bytes.len())? };
        match u.int_in_range(0..=2)? {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u.arbitrary()?),
            _ => {
                let byte = u.arbitrary()?;
                bytes.get_mut(at).into_iter().for_each(|old| *old = byte);
            }
        }
    }
    Ok(())
}

/// Once in twelve times, and never when nothing is left to draw from.
pub fn rarely(u: &mut Unstructured<'_>) -> Result<bool> {
    Ok(!u.ratio(11, 12)?)
}

fn any_long(u: &mut Unstructured<'_>) -> Result<i64> {
    if rarely(u)? { u.arbitrary() } else { Ok(i64::from(u.int_in_range(-1..=20_i8)?)) }
}

fn data(u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    if rarely(u)? {
        int(-1, out);
    } else {
        let length = u.int_in_range(0..=20)?.min(u.len());
        buffer(u.bytes(length)?, out);
    }
    Ok(())
}

fn scheme(u: &mut Unstructured<'_>, out: &mut Vec<u8>) -> Result<()> {
    text(u.choose(&["world", "auth", "digest", "ip", "sasl"])?, out);
    Ok(())
}

fn path(u: &mut Unstructured<'_>) -> Result<String> {
    if rarely(u)? {
        let odd = ["/", "", "a", "//", "/a/", "/zookeeper", "/zookeeper/quota", "/\u{1}", "/../a"];
        return Ok((*u.choose(&odd)?).to_owned());
    }
    let depth = u.int_in_range(1..=3)?;
    (0..depth).map(|_| Ok(*u.choose(&["/a", "/b", "/ä", "/a0000000001"])?)).collect()
}
