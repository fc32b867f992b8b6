//! Splits lines into words.

use clap::ValueEnum;
use storm_rs::prelude::*;

/// What a word is.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// A run of bytes other than space, TAB and LF, as it stands
    Fields,
    /// A run of ASCII letters, in lower case
    Alpha,
}

/// Emits each word of a line, as bytes: a text need not be UTF-8.
pub(crate) struct Split {
    tokens: Tokens,
    lower: Vec<u8>,
}

impl Split {
    pub(crate) fn new(tokens: Tokens) -> Split {
        Split { tokens, lower: Vec::new() }
    }
}

impl Bolt for Split {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["word"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        let line: &[u8] = input.get("line")?;
        match self.tokens {
            Tokens::Fields => {
                for word in fields(line) {
                    out.emit((word,));
                }
            }
            Tokens::Alpha => {
                self.lower.clear();
                self.lower.extend(line.iter().map(u8::to_ascii_lowercase));
                for word in letters(&self.lower) {
                    out.emit((word,));
                }
            }
        }
        Ok(())
    }
}

fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| matches!(b, b' ' | b'\t' | b'\n')).filter(|word| !word.is_empty())
}

fn letters(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| !b.is_ascii_alphabetic()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn words_are_emitted_in_their_order() {
        let mut split = BoltTest::new(Split::new(Tokens::Alpha)).input("lines", ["number", "line"]);
        let done = split.execute((1, "To be, or"));
        let words = ["to", "be", "or"].map(|word| values![word.as_bytes()]);
        assert_eq!(done.assert_acked().emitted(), words);
        split.execute((2, 3)).assert_failed("field 'line' of stream 'default' of 'lines'");
    }

    #[test]
    fn fields_are_separated_by_space_and_tab_alone() {
        let line = b" a\tb  c\r\x0c\xc2\xa0d \xff";
        let expected: [&[u8]; 4] = [b"a", b"b", b"c\r\x0c\xc2\xa0d", b"\xff"];
        assert_eq!(fields(line).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn letters_are_separated_by_all_else() {
        let expected: [&[u8]; 4] = [b"it", b"s", b"caf", b"x"];
        assert_eq!(letters("it's café2x".as_bytes()).collect::<Vec<_>>(), expected);
    }
}
