//! What the demo tells: on the terminal at once, and as a transcript at the end.

use std::fmt::Write as _;

/// The story so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    text: String,
    steps: usize,
}

impl Story {
    /// Begins a step: its title, and what to look at.
    pub(super) fn step(&mut self, title: &str, look_at: &str) {
        self.steps += 1;
        let number = self.steps;
        self.tell(&format!("\n{number}. {title}\n   Look at: {look_at}"));
    }

    /// A command, as people would type it.
    pub(super) fn command(&mut self, command: &str) {
        self.tell(&format!("   $ {command}"));
    }

    /// What a command printed.
    pub(super) fn output(&mut self, text: &str) {
        for line in text.lines() {
            self.tell(format!("     {line}").trim_end());
        }
    }

    /// Something that was checked.
    pub(super) fn seen(&mut self, what: &str) {
        self.tell(&format!("   ok: {what}"));
    }

    /// Any text.
    pub(super) fn tell(&mut self, text: &str) {
        println!("{text}");
        writeln!(self.text, "{text}").expect("a string takes everything");
    }

    /// All of it.
    pub(super) fn text(&self) -> &str {
        self.text.trim_start()
    }
}
