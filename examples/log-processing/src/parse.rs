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
