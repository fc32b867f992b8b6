//! Lines over the last minutes: small ones for tables, larger ones with hints at their axes.

use std::time::Duration;

use crate::draw::{Html, escape, nice_ceiling};

/// A line with an area below it, 100 × 22, for a cell of a table.
pub(crate) fn small(values: &[f64], title: &str) -> Html {
    const WIDTH: f64 = 100.0;
    const HEIGHT: f64 = 22.0;
    let mut svg = Html::new();
    let top = values.iter().copied().fold(0.0, f64::max);
    if values.len() < 2 || top <= 0.0 {
        return svg;
    }
    let points: Vec<_> = values.iter().map(|value| Some(*value)).collect();
    let line = path(&points, top * 1.08, WIDTH, HEIGHT - 2.0);
    svg.put(format_args!(
        r#"<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"><title>{}</title>"#,
        escape(title)
    ));
    svg.put(format_args!(r#"<path class="area" d="{line}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z"/>"#));
    svg.put(format_args!(r#"<path class="line" d="{line}"/></svg>"#));
    svg
}

/// One line of a [`chart`].
pub(crate) struct Line {
    /// What people read.
    pub(crate) name: &'static str,
    /// Class in the stylesheet.
    pub(crate) class: &'static str,
    /// A value for each span, oldest first; none where there is nothing to say.
    pub(crate) values: Vec<Option<f64>>,
}

/// What is drawn with its axes.
pub(crate) struct Chart<'a> {
    /// Lines over the same spans.
    pub(crate) lines: &'a [Line],
    /// Time between two values.
    pub(crate) span: Duration,
    /// How a value is written.
    pub(crate) write: fn(f64) -> String,
}

/// A chart with its highest and middle value on the left, and how far it goes back.
pub(crate) fn chart(chart: &Chart<'_>) -> Html {
    const WIDTH: f64 = 600.0;
    const HEIGHT: f64 = 120.0;
    let Chart { lines, span, write } = chart;
    let all = lines.iter().flat_map(|line| line.values.iter().flatten().copied());
    let top = nice_ceiling(all.fold(0.0, f64::max));
    let count = lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
    let mut svg = Html::new();
    svg.put(format_args!(r#"<div class="chart" data-span="{}">"#, span.as_secs_f64()));
    svg.put(format_args!(
        r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">"#
    ));
    for y in [0.0, HEIGHT / 2.0, HEIGHT] {
        svg.put(format_args!(r#"<path class="rule" d="M0 {y}H{WIDTH}"/>"#));
    }
    for (i, line) in lines.iter().enumerate() {
        let shape = path(&line.values, top, WIDTH, HEIGHT);
        if i == 0 && lines.len() == 1 && line.values.iter().all(Option::is_some) && count > 1 {
            svg.put(format_args!(
                r#"<path class="area {}" d="{shape}L{WIDTH} {HEIGHT}L0 {HEIGHT}Z"/>"#,
                line.class
            ));
        }
        svg.put(format_args!(r#"<path class="line {}" d="{shape}"/>"#, line.class));
    }
    svg.put(format_args!("</svg>"));
    svg.put(format_args!(r#"<span class="y top">{}</span>"#, escape(&write(top))));
    svg.put(format_args!(r#"<span class="y mid">{}</span>"#, escape(&write(top / 2.0))));
    let minutes = (span.as_secs_f64() * count as f64 / 60.0).round();
    svg.put(format_args!(r#"<span class="x from">{minutes} min ago</span><span class="x to">now</span>"#));
    for line in *lines {
        let values: Vec<String> = line
            .values
            .iter()
            .map(|value| value.map_or(String::new(), |value| escape(&write(value))))
            .collect();
        svg.put(format_args!(
            r#"<data class="{}" hidden data-name="{}" data-values="{}"></data>"#,
            line.class,
            escape(line.name),
            values.join(";")
        ));
    }
    svg.put(format_args!("</div>"));
    svg
}

/// A path through the values; where one is missing it begins again.
fn path(values: &[Option<f64>], top: f64, width: f64, height: f64) -> String {
    use std::fmt::Write as _;
    let step = width / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut is_down = false;
    for (i, value) in values.iter().enumerate() {
        let Some(value) = value.filter(|value| value.is_finite()) else {
            is_down = false;
            continue;
        };
        let y = height - (value / top.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0) * height;
        let (x, y) = (i as f64 * step, if height < 30.0 { y + 2.0 } else { y });
        let letter = if is_down { 'L' } else { 'M' };
        write!(path, "{letter}{x:.1} {y:.1}").expect("a String takes whatever it is given");
        is_down = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_where_nothing_happened() {
        assert!(small(&[], "").is_empty());
        assert!(small(&[0.0, 0.0, 0.0], "").is_empty());
        assert!(small(&[1.0], "").is_empty());
    }

    #[test]
    fn a_gap_in_the_values_is_a_gap_in_the_line() {
        let line = path(&[Some(1.0), Some(2.0), None, Some(2.0)], 2.0, 90.0, 100.0);
        assert_eq!(line, "M0.0 50.0L30.0 0.0M90.0 0.0");
        assert_eq!(path(&[Some(f64::NAN)], 1.0, 90.0, 100.0), "");
    }

    #[test]
    fn a_chart_says_its_top_and_its_span() {
        let line = Line { name: "rate", class: "a", values: vec![Some(870.0); 180] };
        let drawn =
            chart(&Chart { lines: &[line], span: Duration::from_secs(10), write: |v| format!("{v} /s") });
        assert!(drawn.as_str().contains(">1000 /s<") && drawn.as_str().contains(">30 min ago<"), "{drawn}");
    }
}
