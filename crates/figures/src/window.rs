//! The spans of time that figures are summed over, as in Storm.

use std::fmt;
use std::ops::{Index, IndexMut};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Buckets that a window is kept in (Storm's `NUM_STAT_BUCKETS`).
pub const BUCKETS: usize = 20;

/// A span of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Window {
    /// The last ten minutes.
    #[serde(rename = "600")]
    TenMinutes,
    /// The last three hours.
    #[serde(rename = "10800")]
    ThreeHours,
    /// The last 24 hours.
    #[serde(rename = "86400")]
    OneDay,
    /// Everything that was ever counted.
    #[serde(rename = ":all-time")]
    AllTime,
}

impl Window {
    /// Every window, shortest first.
    pub const ALL: [Window; 4] = [Window::TenMinutes, Window::ThreeHours, Window::OneDay, Window::AllTime];

    /// Storm's name of it, in the REST interface and in statistics.
    pub const fn key(self) -> &'static str {
        match self {
            Window::TenMinutes => "600",
            Window::ThreeHours => "10800",
            Window::OneDay => "86400",
            Window::AllTime => ":all-time",
        }
    }

    /// What people read, as Storm's `windowPretty`.
    pub const fn title(self) -> &'static str {
        match self {
            Window::TenMinutes => "10m 0s",
            Window::ThreeHours => "3h 0m 0s",
            Window::OneDay => "1d 0h 0m 0s",
            Window::AllTime => "All time",
        }
    }

    /// What people type.
    pub const fn short(self) -> &'static str {
        match self {
            Window::TenMinutes => "10m",
            Window::ThreeHours => "3h",
            Window::OneDay => "1d",
            Window::AllTime => "all",
        }
    }

    /// Its length; none for all time.
    pub const fn span(self) -> Option<Duration> {
        match self {
            Window::TenMinutes => Some(Duration::from_secs(600)),
            Window::ThreeHours => Some(Duration::from_secs(10_800)),
            Window::OneDay => Some(Duration::from_secs(86_400)),
            Window::AllTime => None,
        }
    }

    /// Length at which one of its [`BUCKETS`] is full; none for all time.
    ///
    /// As in Storm it is reckoned with one bucket less, so that the full ones cover the window while
    /// one is being filled; rounded up to whole nanoseconds where Storm rounds down to milliseconds.
    pub fn bucket(self) -> Option<Duration> {
        let nanos = self.span()?.as_nanos().div_ceil(BUCKETS as u128 - 1);
        Some(Duration::from_nanos(nanos as u64))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// A text that names no window.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown window '{0}': the windows are 10m, 3h, 1d and all, or Storm's 600, 10800, 86400 and :all-time"
)]
pub struct UnknownWindow(String);

/// By its key or its short name.
impl FromStr for Window {
    type Err = UnknownWindow;

    fn from_str(name: &str) -> Result<Window, UnknownWindow> {
        let named = Window::ALL.into_iter().find(|window| [window.key(), window.short()].contains(&name));
        named.ok_or_else(|| UnknownWindow(name.to_owned()))
    }
}

/// One of something for each window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windowed<T> {
    /// Of the last ten minutes.
    #[serde(rename = "600")]
    pub ten_minutes: T,
    /// Of the last three hours.
    #[serde(rename = "10800")]
    pub three_hours: T,
    /// Of the last 24 hours.
    #[serde(rename = "86400")]
    pub one_day: T,
    /// Of everything that was ever counted.
    #[serde(rename = ":all-time")]
    pub all_time: T,
}

impl<T> Windowed<T> {
    /// What `of` says for each window.
    pub fn new(mut of: impl FnMut(Window) -> T) -> Windowed<T> {
        Windowed {
            ten_minutes: of(Window::TenMinutes),
            three_hours: of(Window::ThreeHours),
            one_day: of(Window::OneDay),
            all_time: of(Window::AllTime),
        }
    }

    /// The windows with what they hold, shortest first.
    pub fn iter(&self) -> impl Iterator<Item = (Window, &T)> {
        Window::ALL.into_iter().map(|window| (window, &self[window]))
    }
}

impl<T> Index<Window> for Windowed<T> {
    type Output = T;

    fn index(&self, window: Window) -> &T {
        match window {
            Window::TenMinutes => &self.ten_minutes,
            Window::ThreeHours => &self.three_hours,
            Window::OneDay => &self.one_day,
            Window::AllTime => &self.all_time,
        }
    }
}

impl<T> IndexMut<Window> for Windowed<T> {
    fn index_mut(&mut self, window: Window) -> &mut T {
        match window {
            Window::TenMinutes => &mut self.ten_minutes,
            Window::ThreeHours => &mut self.three_hours,
            Window::OneDay => &mut self.one_day,
            Window::AllTime => &mut self.all_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_storms_and_read_back() {
        assert_eq!(Window::ALL.map(Window::key), ["600", "10800", "86400", ":all-time"]);
        for window in Window::ALL {
            assert_eq!([window.key(), window.short()].map(str::parse), [Ok(window), Ok(window)]);
            assert_eq!(serde_json::to_value(window).unwrap(), window.key());
        }
        let error = "60".parse::<Window>().unwrap_err();
        let all = "10m, 3h, 1d and all, or Storm's 600, 10800, 86400 and :all-time";
        assert_eq!(error.to_string(), format!("unknown window '60': the windows are {all}"));
    }

    #[test]
    fn the_key_of_a_span_is_its_seconds() {
        for window in Window::ALL {
            if let Some(span) = window.span() {
                assert_eq!(span.as_secs().to_string(), window.key());
            }
        }
    }

    #[test]
    fn nineteen_buckets_cover_a_window() {
        // Storm: 31,578 ms for ten minutes.
        assert_eq!(Window::TenMinutes.bucket().unwrap().as_millis(), 31_578);
        for window in Window::ALL {
            let (Some(span), Some(bucket)) = (window.span(), window.bucket()) else { continue };
            assert!(bucket * 19 >= span && bucket * 18 < span);
        }
    }

    #[test]
    fn each_window_has_its_own() {
        let mut of = Windowed::new(Window::key);
        for window in Window::ALL {
            assert_eq!(of[window], window.key());
            of[window] = "changed";
        }
        assert!(of.iter().all(|(_, key)| *key == "changed"));
        let json = serde_json::to_value(Windowed::new(Window::title)).unwrap();
        assert_eq!(json[":all-time"], "All time");
    }
}
