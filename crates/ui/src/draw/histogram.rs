//! How durations are distributed, on a logarithmic axis.

use std::time::Duration;

use storm_figures::Latency;

use crate::draw::{Html, escape};
use crate::pages::text;

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 132.0;
/// Where the bars stand; the axis is below.
const FLOOR: f64 = 108.0;
const LEFT: f64 = 6.0;
/// Bars to each power of ten.
const PER_DECADE: f64 = 8.0;

/// Bars by duration, with lines at the median and the 99th percentile.
pub(crate) fn latency(latency: &Latency) -> Html {
    let mut svg = Html::new();
    if latency.is_empty() {
        return svg;
    }
    let bars = bars(latency);
    let first = bars.first().map_or(0, |(place, _)| *place);
    let last = bars.last().map_or(0, |(place, _)| *place) + 1;
    // At least one power of ten, so that a single bar has something around it.
    let missing = (PER_DECADE as i32 - (last - first)).max(0);
    let (first, last) = (first - missing / 2, last + missing - missing / 2);
    let step = (WIDTH - 2.0 * LEFT) / f64::from(last - first);
    let x = |place: f64| LEFT + (place - f64::from(first)) * step;
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);

    svg.put(format_args!(r#"<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#));
    svg.put(format_args!("<title>{} durations</title>", text::exact(latency.count())));
    for decade in
        (f64::from(first) / PER_DECADE).ceil() as i32..=(f64::from(last) / PER_DECADE).floor() as i32
    {
        let at = x(f64::from(decade) * PER_DECADE);
        let name = text::latency(Duration::from_secs_f64(10f64.powi(decade)));
        svg.put(format_args!(r#"<path class="rule" d="M{at:.1} 14V{}"/>"#, FLOOR + 4.0));
        let anchor = if at > WIDTH - 30.0 {
            "end"
        } else if at < 30.0 {
            "start"
        } else {
            "middle"
        };
        svg.put(format_args!(
            r#"<text class="axis" x="{at:.1}" y="{}" text-anchor="{anchor}">{}</text>"#,
            HEIGHT - 6.0,
            escape(&name)
        ));
    }
    for (place, count) in &bars {
        let height = ((*count as f64 / most as f64) * (FLOOR - 22.0)).max(1.0);
        let share = *count as f64 / latency.count().max(1) as f64;
        let (from, to) = (upper_end(*place - 1), upper_end(*place));
        svg.put(format_args!(
            concat!(
                r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="1.5">"#,
                "<title>{} to {}: {} ({})</title></rect>"
            ),
            x(f64::from(*place)) + 0.5,
            FLOOR - height,
            (step - 1.0).max(1.0),
            height,
            text::latency(from),
            text::latency(to),
            text::exact(*count),
            text::percent(share)
        ));
    }
    svg.put(format_args!(r#"<path class="floor" d="M{LEFT} {FLOOR}H{}"/>"#, WIDTH - LEFT));
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        let value = latency.quantile(q);
        let at = x(exponent(value) * PER_DECADE).clamp(LEFT, WIDTH - LEFT);
        let is_right = at > WIDTH - 90.0;
        svg.put(format_args!(
            r#"<path class="mark {name}" d="M{at:.1} {}V{FLOOR}"/>"#,
            if q < 0.9 { 4 } else { 16 }
        ));
        svg.put(format_args!(
            r#"<text class="mark {name}" x="{:.1}" y="{}" text-anchor="{}">{name} {}</text>"#,
            if is_right { at - 4.0 } else { at + 4.0 },
            if q < 0.9 { 11 } else { 23 },
            if is_right { "end" } else { "start" },
            escape(&text::latency(value))
        ));
    }
    svg.put(format_args!("</svg>"));
    svg
}

/// The power of ten of a duration in seconds.
fn exponent(duration: Duration) -> f64 {
    duration.as_secs_f64().max(1e-9).log10()
}

fn upper_end(place: i32) -> Duration {
    Duration::from_secs_f64(10f64.powf(f64::from(place + 1) / PER_DECADE))
}

/// How many durations each place of the axis has, without places that have none, ascending.
fn bars(latency: &Latency) -> Vec<(i32, u64)> {
    let mut bars: Vec<(i32, u64)> = Vec::new();
    for (end, count) in latency.buckets() {
        let place = (exponent(end) * PER_DECADE - 1e-9).floor() as i32;
        match bars.last_mut() {
            Some((last, counted)) if *last == place => *counted = counted.saturating_add(count),
            _ => bars.push((place, count)),
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(durations: &[(u64, u64)]) -> Latency {
        let mut latency = Latency::default();
        for (micros, n) in durations {
            latency.record_n(Duration::from_micros(*micros), *n);
        }
        latency
    }

    #[test]
    fn no_durations_no_drawing() {
        assert!(latency(&Latency::default()).is_empty());
    }

    #[test]
    fn every_duration_stands_in_a_bar() {
        let many = of(&[(10, 5), (11, 5), (900, 7), (1_000_000, 1), (10_000_000_000, 2)]);
        assert_eq!(bars(&many).iter().map(|(_, count)| count).sum::<u64>(), 20);
        assert!(bars(&many).windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn median_and_99th_percentile_are_marked() {
        let drawn = latency(&of(&[(1_000, 99), (250_000, 1)]));
        assert!(drawn.as_str().contains("p50 1.0"), "{drawn}");
        assert!(drawn.as_str().matches("<rect").count() == 2, "{drawn}");
    }

    #[test]
    fn a_single_duration_is_drawn_within_the_picture() {
        let drawn = latency(&of(&[(0, 1)]));
        assert!(drawn.as_str().contains("<rect") && !drawn.as_str().contains("NaN"), "{drawn}");
    }
}
