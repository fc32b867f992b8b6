//! A row of the input.

use thiserror::Error;

/// What the first line says.
pub(crate) const HEADER: &str = "timestamp,value[,device]";

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading<'a> {
    /// When, as it stands in the input.
    pub(crate) timestamp: &'a [u8],
    /// The value as it stands in the input.
    pub(crate) text: &'a [u8],
    /// The value.
    pub(crate) value: f64,
}

/// Why a row is no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    #[error("no value after the timestamp")]
    Missing,
    #[error("the value is not a finite number")]
    NotANumber,
}

/// Whether a line is the header.
pub(crate) fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let names: Vec<_> = columns(line).map(<[u8]>::trim_ascii).collect();
    let expected: [&[u8]; 3] = [b"timestamp", b"value", b"device"];
    names == expected || names == expected[..2]
}

/// The device of a row; rows without one are all of the same.
pub(crate) fn device(line: &[u8]) -> &[u8] {
    columns(line).nth(2).unwrap_or_default()
}

impl<'a> Reading<'a> {
    /// Reads a row.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Reading<'a>, Malformed> {
        let mut columns = columns(line);
        let (Some(timestamp), Some(text)) = (columns.next(), columns.next()) else {
            return Err(Malformed::Missing);
        };
        let number = str::from_utf8(text.trim_ascii()).ok().and_then(|text| text.parse::<f64>().ok());
        match number {
            Some(value) if value.is_finite() => Ok(Reading { timestamp, text, value }),
            _ => Err(Malformed::NotANumber),
        }
    }
}

fn columns(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.strip_suffix(b"\r").unwrap_or(line).split(|b| *b == b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_two_or_three_columns() {
        let reading = Reading::parse(b"2013-12-02 21:15:00,73.960\r").unwrap();
        assert_eq!(
            (reading.timestamp, reading.text, reading.value),
            (&b"2013-12-02 21:15:00"[..], &b"73.960"[..], 73.96)
        );
        assert_eq!(Reading::parse(b"t,-1e3,pump").unwrap().value, -1000.0);
        assert_eq!(
            (device(b"t,1,pump\r"), device(b"t,1\r"), device(b"")),
            (&b"pump"[..], &b""[..], &b""[..])
        );
    }

    #[test]
    fn a_malformed_row_is_told() {
        assert_eq!(Reading::parse(b""), Err(Malformed::Missing));
        for row in [&b"t,"[..], b"t,x", b"t,nan", b"t,inf", b"t,\xff"] {
            assert_eq!(Reading::parse(row), Err(Malformed::NotANumber));
        }
    }

    #[test]
    fn the_header_names_the_columns() {
        for header in [&b"timestamp,value"[..], b"timestamp,value\r", b"\xef\xbb\xbftimestamp, value,device"]
        {
            assert!(is_header(header));
        }
        for row in [&b""[..], b"timestamp", b"2013-12-02 21:15:00,73.9", b"timestamp,value,pump"] {
            assert!(!is_header(row));
        }
    }
}
