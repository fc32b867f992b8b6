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

/// What is shorter than this share of the median, and than this share of the 99th percentile, is not told
/// apart: it stands in the first bar.
const OF_MEDIAN: f64 = 1e-2;
const OF_P99: f64 = 1e-4;
/// Width of a character of the axis at most, and what is left free between two of its labels.
const CHARACTER: f64 = 6.4;
const GAP: f64 = 8.0;

/// Bars by duration, with lines at the median and the 99th percentile.
pub(crate) fn latency(latency: &Latency) -> Html {
    let mut svg = Html::new();
    if latency.is_empty() {
        return svg;
    }
    let (bars, is_gathered) = gathered(bars(latency), lowest(latency));
    let first = bars.first().map_or(0, |(place, _)| *place);
    let last = bars.last().map_or(0, |(place, _)| *place) + 1;
    // At least one power of ten, so that a single bar has something around it.
    let missing = (PER_DECADE as i32 - (last - first)).max(0);
    let (from, last) = (first - missing / 2, last + missing - missing / 2);
    let step = (WIDTH - 2.0 * LEFT) / f64::from(last - from);
    let x = |place: f64| LEFT + (place - f64::from(from)) * step;
    let most = bars.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);

    svg.put(format_args!(r#"<svg class="histogram" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">"#));
    svg.put(format_args!("<title>{}</title>", text::counted(latency.count(), "duration", "durations")));
    let mut labels_end = f64::NEG_INFINITY;
    for (tick, decade) in ticks(from, last) {
        let duration = tick * 10f64.powi(decade);
        let at = x(duration.log10() * PER_DECADE);
        svg.put(format_args!(r#"<path class="rule" d="M{at:.1} 14V{}"/>"#, FLOOR + 4.0));
        let name = text::latency(Duration::from_secs_f64(duration));
        let half = name.chars().count() as f64 * CHARACTER / 2.0;
        let (middle, anchor) = if at + half > WIDTH {
            (at - half, "end")
        } else if at < half {
            (at + half, "start")
        } else {
            (at, "middle")
        };
        // Where labels would run into each other the later one is left out; its rule stays.
        if middle - half < labels_end + GAP {
            continue;
        }
        labels_end = middle + half;
        svg.put(format_args!(
            r#"<text class="axis" x="{at:.1}" y="{}" text-anchor="{anchor}">{}</text>"#,
            HEIGHT - 6.0,
            escape(&name)
        ));
    }
    for (place, count) in &bars {
        let height = ((*count as f64 / most as f64) * (FLOOR - 22.0)).max(1.0);
        let share = *count as f64 / latency.count().max(1) as f64;
        let to = text::latency(upper_end(*place));
        let range = match is_gathered && *place == first {
            true => format!("up to {to}"),
            false => format!("{} to {to}", text::latency(upper_end(*place - 1))),
        };
        svg.put(format_args!(
            concat!(
                r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="1.5">"#,
                "<title>{}: {} ({})</title></rect>"
            ),
            x(f64::from(*place)) + 0.5,
            FLOOR - height,
            (step - 1.0).max(1.0),
            height,
            range,
            text::exact(*count),
            text::percent(share)
        ));
    }
    svg.put(format_args!(r#"<path class="floor" d="M{LEFT} {FLOOR}H{}"/>"#, WIDTH - LEFT));
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        let value = latency.quantile(q);
        let at = x(exponent(value) * PER_DECADE).clamp(LEFT, WIDTH - LEFT);
        let is_right = at > WIDTH - 90.0;
        let told = match is_gathered && place(value) <= first {
            true => format!("< {}", text::latency(upper_end(first))),
            false => text::latency(value),
        };
        svg.put(format_args!(
            r#"<path class="mark {name}" d="M{at:.1} {}V{FLOOR}"/>"#,
            if q < 0.9 { 4 } else { 16 }
        ));
        svg.put(format_args!(
            r#"<text class="mark {name}" x="{:.1}" y="{}" text-anchor="{}">{name} {}</text>"#,
            if is_right { at - 4.0 } else { at + 4.0 },
            if q < 0.9 { 11 } else { 23 },
            if is_right { "end" } else { "start" },
            escape(&told)
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

/// What the axis names between two places: powers of ten and, where these are few, twice and five times as much.
fn ticks(from: i32, last: i32) -> Vec<(f64, i32)> {
    const FEW: f64 = 2.5;
    let (from, last) = (f64::from(from) / PER_DECADE, f64::from(last) / PER_DECADE);
    let steps: &[f64] = if last - from < FEW { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let decades = from.floor() as i32..=last.floor() as i32;
    let all = decades.flat_map(|decade| steps.iter().map(move |step| (*step, decade)));
    let is_within = |(step, decade): &(f64, i32)| {
        let at = step.log10() + f64::from(*decade);
        (from - 1e-9..=last + 1e-9).contains(&at)
    };
    all.filter(is_within).collect()
}

/// The first place of the axis that has a bar of its own.
fn lowest(latency: &Latency) -> i32 {
    let share = |q, share| latency.quantile(q).as_secs_f64() * share;
    place(Duration::from_secs_f64(share(0.5, OF_MEDIAN).max(share(0.99, OF_P99))))
}

/// The bars, those below the lowest place joined into one right before the others; and whether there are such.
fn gathered(bars: Vec<(i32, u64)>, lowest: i32) -> (Vec<(i32, u64)>, bool) {
    let below = bars.iter().take_while(|(place, _)| *place < lowest).count();
    if below == 0 {
        return (bars, false);
    }
    let (below, rest) = bars.split_at(below);
    let count = below.iter().fold(0, |sum: u64, (_, count)| sum.saturating_add(*count));
    let before = rest.first().map_or(lowest, |(place, _)| *place - 1);
    (std::iter::once((before, count)).chain(rest.iter().copied()).collect(), true)
}

/// The place of the axis that a duration has.
fn place(duration: Duration) -> i32 {
    (exponent(duration) * PER_DECADE - 1e-9).floor() as i32
}

/// How many durations each place of the axis has, without places that have none, ascending.
fn bars(latency: &Latency) -> Vec<(i32, u64)> {
    let mut bars: Vec<(i32, u64)> = Vec::new();
    for (end, count) in latency.buckets() {
        let place = place(end);
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
    fn the_axis_begins_where_the_durations_do() {
        // Half of the rows did not wait at all: they are counted, and do not stretch the axis.
        let waited = of(&[(0, 500), (90, 300), (400, 190), (9_000, 10)]);
        let (all, is_gathered) = gathered(bars(&waited), lowest(&waited));
        assert!(is_gathered && all.iter().map(|(_, count)| count).sum::<u64>() == 1_000, "{all:?}");
        assert!(all[0].0 + 1 == all[1].0 && all[0].1 == 500, "{all:?}");
        let drawn = latency(&waited).to_string();
        assert!(drawn.contains("<title>up to 0.075") && drawn.contains("p50 &lt; 0.075"), "{drawn}");
        assert!(!drawn.contains("ns</text>"), "{drawn}");
        // What takes nanoseconds is shown as such.
        let mut fast = Latency::default();
        fast.record_n(Duration::from_nanos(70), 100);
        assert!(!gathered(bars(&fast), lowest(&fast)).1);
    }

    #[test]
    fn labels_of_the_axis_do_not_run_into_each_other() {
        let text_of = |part: &str, from: &str, to: &str| {
            part.split_once(from).and_then(|(_, rest)| rest.split_once(to)).map(|(text, _)| text.to_owned())
        };
        for longest in [3_u64, 40, 950, 1_050, 10_100, 99_000, 120_000_000, 86_000_000_000] {
            let drawn = latency(&of(&[(1, 90), (9, 40), (longest, 30)])).to_string();
            let labels = drawn.split("class=\"axis\"").skip(1).map(|part| {
                let name = text_of(part, ">", "<").unwrap();
                let width = name.chars().count() as f64 * CHARACTER;
                let x: f64 = text_of(part, "x=\"", "\"").unwrap().parse().unwrap();
                let start = match text_of(part, "text-anchor=\"", "\"").unwrap().as_str() {
                    "end" => x - width,
                    "start" => x,
                    _ => x - width / 2.0,
                };
                (start, start + width)
            });
            let labels: Vec<_> = labels.collect();
            assert!(!labels.is_empty() && labels.windows(2).all(|two| two[0].1 < two[1].0), "{labels:?}");
            assert!(labels.iter().all(|label| label.0 > -1.0 && label.1 < WIDTH + 1.0), "{labels:?}");
        }
    }

    #[test]
    fn a_single_duration_is_drawn_within_the_picture() {
        let drawn = latency(&of(&[(0, 1)]));
        assert!(drawn.as_str().contains("<rect") && !drawn.as_str().contains("NaN"), "{drawn}");
    }
}
