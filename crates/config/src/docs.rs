//! Renders the table of keys as `docs/configuration.md`.

use std::fmt::Write;

use crate::keys::{self, Key, PREFIXES, Standing};

const HEAD: &str = "\
# Configuration

Keys have Storm's names. What differs from Storm is marked **ours**.
An unknown key under one of the prefixes below is an error; all other keys are yours and pass.

Layers, from the weakest to the strongest:

1. the defaults of this page
2. `storm.yaml`, in local mode the file named by `STORM_RS_CONF`
3. environment variables that spell a known key, as `TOPOLOGY_MESSAGE_TIMEOUT_SECS` does
4. the topology's code
5. what is given from outside for this topology, in local mode the file named by
   `STORM_RS_TOPOLOGY_CONF`

`null` asks for the default again. A key marked **component** may also be set for one component.
One marked **not yet** is checked, and has no effect so far; whoever sets it to something else is told.
";

/// The documentation of every key in Markdown, grouped by prefix.
pub fn docs() -> String {
    let mut page = HEAD.to_owned();
    for prefix in PREFIXES {
        let group = || keys::all().filter(|key| key.name.starts_with(prefix));
        let heading = prefix.trim_end_matches('.');
        write_line(&mut page, format_args!("\n## {heading}\n"));
        if group().any(Key::has_meaning) {
            page += "| key | value | default | meaning |\n|---|---|---|---|\n";
            group().filter(|key| key.has_meaning()).for_each(|key| write_row(&mut page, key));
            page += "\n";
        }
        page += "Accepted without effect:\n\n";
        page += "| key | in Storm | instead |\n|---|---|---|\n";
        for key in group() {
            if let Standing::NoMeaning(note) = key.standing {
                let (name, doc, note) = (key.name, cell(key.doc), cell(note));
                write_line(&mut page, format_args!("| `{name}` | {doc} | {note} |"));
            }
        }
    }
    page
}

fn write_row(page: &mut String, key: &Key) {
    let default = match key.default.to_value() {
        value if value.is_null() => String::new(),
        value => format!("`{value}`"),
    };
    let mut meaning = cell(key.doc);
    if key.per_component {
        meaning += " **component**";
    }
    if let Standing::Ours(reason) = key.standing {
        meaning += " **ours**: ";
        meaning += &cell(reason);
        meaning += ".";
    }
    if !key.is_read {
        meaning += " **not yet**.";
    }
    let (name, kind) = (key.name, key.kind);
    write_line(page, format_args!("| `{name}` | {kind} | {default} | {meaning} |"));
}

fn write_line(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("writing to a string cannot fail");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
