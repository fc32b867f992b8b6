//! Parses lines.

use storm_rs::prelude::*;

use crate::request::Request;

/// Stream of the numbers of malformed lines.
pub(crate) const MALFORMED: &str = "malformed";

/// Emits the request of each line; a malformed line is reported and goes to [`MALFORMED`].
pub(crate) struct Parse;

impl Bolt for Parse {
    fn declare_outputs(&self, out: &mut OutputDeclarer) {
        out.fields(["ip", "minute", "path", "status", "bytes"]).stream(MALFORMED, ["number"]);
    }

    fn execute(&mut self, input: &Tuple<'_>, out: &mut BoltOutput<'_>) -> Result<(), BoltError> {
        match Request::parse(input.get("line")?) {
            Ok(Request { ip, minute, path, status, bytes }) => out.emit((ip, minute, path, status, bytes)),
            Err(why) => {
                let number: u64 = input.get("number")?;
                out.report_error(format!("line {number} is malformed: {why}"));
                out.emit_to(MALFORMED, (number,));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use storm_rs::testing::BoltTest;

    use super::*;

    #[test]
    fn a_malformed_line_is_reported_and_goes_to_its_stream() {
        let mut parse = BoltTest::new(Parse).input("lines", ["number", "line"]);
        let line = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 99"#;
        let done = parse.execute((1, line));
        let request: Vec<_> = ["::1", "17/May/2015:10:05", "/a", "200"].map(|s| s.as_bytes().into()).into();
        assert_eq!(done.assert_acked().emitted(), [[request, values![99]].concat()]);

        let done = parse.execute((2, "what is this?"));
        assert!(done.is_acked() && done.emitted().is_empty());
        assert_eq!(done.emitted_to(MALFORMED), [values![2]]);
        assert!(done.error().is_some_and(|e| e.starts_with("line 2 is malformed")), "{:?}", done.error());
    }
}
