//! Drawings: pure functions from figures to markup, with text from outside escaped.

use std::fmt::{self, Write as _};

pub(crate) mod colour;
pub(crate) mod graph;
pub(crate) mod histogram;
pub(crate) mod slots;
pub(crate) mod sparkline;

/// Markup that is safe to stand in a page as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Html(String);

impl Html {
    /// Nothing yet.
    pub(crate) fn new() -> Html {
        Html::default()
    }

    /// Adds markup. What came from outside goes through [`escape`] first.
    pub(crate) fn put(&mut self, markup: fmt::Arguments<'_>) {
        self.0.write_fmt(markup).expect("a String takes whatever it is given");
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The markup.
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// A text as it may stand between tags and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The beginning of a text, with an ellipsis where it goes on.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// The next number that people like on an axis: 1, 2, 5 or 10 times a power of ten.
pub(crate) fn nice_ceiling(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|nice| *nice >= value * 0.999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_hostile_text_stays_markup() {
        let hostile = r#"<img src=x onerror="alert('x')">&"#;
        assert_eq!(escape(hostile), "&lt;img src=x onerror=&quot;alert(&#39;x&#39;)&quot;&gt;&amp;");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shortened("größer", 6), "größer");
        assert_eq!(shortened("größere", 6), "größe…");
    }

    #[test]
    fn an_axis_ends_at_a_round_number_that_nothing_exceeds() {
        for (value, nice) in
            [(0.0, 1.0), (0.7, 0.8), (1.0, 1.0), (3.2, 4.0), (870.0, 1_000.0), (4_100.0, 5_000.0)]
        {
            assert!((nice_ceiling(value) - nice).abs() < nice * 1e-9, "{value}: {}", nice_ceiling(value));
        }
        assert_eq!(nice_ceiling(f64::NAN), 1.0);
    }
}
