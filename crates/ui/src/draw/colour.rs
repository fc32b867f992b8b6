//! Colours that mean something: whose a thing is, and how busy it is.
//!
//! Hues alone are chosen here; how light and how strong they are is the stylesheet's, which knows
//! whether the page is dark.

/// The hues that are used: from yellow over green and blue to magenta. What is near red is for trouble.
const FROM: f64 = 50.0;
const HUES: f64 = 300.0;

/// The colour of a topology by its id, the same on each page: CSS variables for a `style`.
///
/// Ids hold the number of the submission: those that follow each other are the golden ratio apart, so
/// that the topologies of a small cluster are told from each other.
pub(crate) fn of_topology(id: &str) -> String {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let number = submission(id).unwrap_or_else(|| {
        // FNV-1a, with its better half.
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        hash >> 32
    });
    // Numbers of submissions are far below 2^52.
    let turn = (number as f64 * GOLDEN).fract();
    format!("--h:{:.0};--tone:{}", FROM + turn * HUES, number % 2)
}

/// `3` of `word-count-3-1764000000`.
fn submission(id: &str) -> Option<u64> {
    let mut parts = id.rsplit('-');
    parts.next()?.parse::<u64>().ok()?;
    parts.next()?.parse().ok()
}

/// The hue of a share of what is possible: green while there is room, amber, and red at the limit.
pub(crate) fn heat(share: f64) -> u16 {
    const GREEN: f64 = 155.0;
    const RED: f64 = 27.0;
    // Up to half there is nothing to see.
    let share = if share.is_finite() { ((share - 0.5) / 0.45).clamp(0.0, 1.0) } else { 1.0 };
    (GREEN + (RED - GREEN) * share).round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topologies_that_follow_each_other_are_told_apart() {
        let hue = |number: u64| {
            let style = of_topology(&format!("word-count-{number}-1764000000"));
            style.strip_prefix("--h:").unwrap().split(';').next().unwrap().parse::<i32>().unwrap()
        };
        let mut hues: Vec<i32> = (1..=8).map(hue).collect();
        hues.sort_unstable();
        assert!(hues.windows(2).all(|pair| pair[1] - pair[0] >= 17), "{hues:?}");
        assert!(hues[0] >= 50 && hues[7] <= 350);
    }

    #[test]
    fn an_id_of_another_kind_has_a_colour_too() {
        assert_eq!(submission("word-count-3-1764000000"), Some(3));
        assert_eq!([submission("words"), submission("a-b-1"), submission("")], [None, None, None]);
        assert_ne!(of_topology("a"), of_topology("b"));
    }

    #[test]
    fn more_load_is_nearer_to_red() {
        assert_eq!([0.0, 0.5, 0.95, 7.0, f64::NAN].map(heat), [155, 155, 27, 27, 27]);
        assert!(heat(0.6) > heat(0.7));
    }
}
