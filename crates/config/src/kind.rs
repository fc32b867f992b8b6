//! What a value may be: checking of parsed values, parsing of text, defaults.

use std::fmt;

use serde_json::{Value, json};

use crate::yaml;

/// What the value of a key must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number from `min` to `max`.
    Int {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A number above zero; with `zero` also zero itself.
    Float {
        /// Whether zero is allowed.
        zero: bool,
    },
    /// A string.
    Str,
    /// A list of strings.
    StrList,
    /// A list of different whole numbers from `min` to `max`.
    IntList {
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// A string or a list of strings.
    StrOrStrList,
    /// A map from strings to anything.
    Map,
    /// A map from strings to strings.
    StrMap,
    /// A map from strings to numbers.
    NumMap,
    /// One of these words, or a whole number from `min` to `max`.
    WordOrInt {
        /// The words.
        words: &'static [&'static str],
        /// The least value.
        min: i64,
        /// The greatest value.
        max: i64,
    },
    /// Anything.
    Any,
}

/// Why a value does not fit its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is of another type.
    Type,
    /// It is of the right type, but too small or too large, or stands twice in its list.
    Range,
}

impl Kind {
    /// Returns `value` as it is kept (a whole `5.0` as `5`), or why it does not fit.
    pub fn check(&self, value: &Value) -> Result<Value, Misfit> {
        let fits = match *self {
            Self::Bool => value.is_boolean(),
            Self::Int { min, max } => return int(value, min, max).map(Value::from),
            Self::Float { zero } => return float(value, zero),
            Self::Str => value.is_string(),
            Self::StrList => is_list_of(value, Value::is_string),
            Self::IntList { min, max } => return int_list(value, min, max),
            Self::StrOrStrList => value.is_string() || is_list_of(value, Value::is_string),
            Self::Map => value.is_object(),
            Self::StrMap => is_map_of(value, Value::is_string),
            Self::NumMap => is_map_of(value, Value::is_number),
            Self::WordOrInt { words, min, max } => match value.as_str() {
                Some(word) => words.contains(&word),
                None => return int(value, min, max).map(Value::from),
            },
            Self::Any => true,
        };
        if fits { Ok(value.clone()) } else { Err(Misfit::Type) }
    }

    /// Makes a value of text from an environment variable or the command line.
    ///
    /// A list is written with commas or in brackets, a map in braces, both as in YAML; `null` asks
    /// for the default. What does not parse stays a string, for [`Kind::check`] to refuse.
    pub fn parse(&self, text: &str) -> Value {
        let trimmed = text.trim();
        if trimmed == "null" {
            return Value::Null;
        }
        let as_yaml = || yaml::parse_value(trimmed).unwrap_or_else(|_| json!(text));
        let bracketed = trimmed.starts_with('[');
        match self {
            Self::Str | Self::Any => json!(text),
            Self::StrOrStrList if !bracketed => json!(text),
            Self::StrList if !bracketed => parts(trimmed).map(Value::from).collect(),
            Self::IntList { .. } if !bracketed => parts(trimmed).map(plain).collect(),
            _ => as_yaml(),
        }
    }
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn plain(text: &str) -> Value {
    text.parse::<i64>().map_or_else(|_| json!(text), Value::from)
}

fn int(value: &Value, min: i64, max: i64) -> Result<i64, Misfit> {
    let number = value.as_number().ok_or(Misfit::Type)?;
    let whole = match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole,
        // Storm takes 5.0 for 5; what lies beyond f64's whole numbers is out of range anyway.
        (None, Some(float)) if float.fract() == 0.0 => float as i64,
        _ => return Err(Misfit::Type),
    };
    if min <= whole && whole <= max { Ok(whole) } else { Err(Misfit::Range) }
}

fn float(value: &Value, zero: bool) -> Result<Value, Misfit> {
    let number = value.as_f64().ok_or(Misfit::Type)?;
    let fits = number > 0.0 || (zero && number == 0.0);
    if fits { Ok(json!(number)) } else { Err(Misfit::Range) }
}

fn int_list(value: &Value, min: i64, max: i64) -> Result<Value, Misfit> {
    let items = value.as_array().ok_or(Misfit::Type)?;
    let mut whole = Vec::with_capacity(items.len());
    for item in items {
        let item = int(item, min, max)?;
        if whole.contains(&item) {
            return Err(Misfit::Range);
        }
        whole.push(item);
    }
    Ok(json!(whole))
}

fn is_list_of(value: &Value, is: fn(&Value) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(is))
}

fn is_map_of(value: &Value, is: fn(&Value) -> bool) -> bool {
    value.as_object().is_some_and(|map| map.values().all(is))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |min: i64, max: i64| {
            if max == i64::from(i32::MAX) { format!(">= {min}") } else { format!("{min} to {max}") }
        };
        match *self {
            Self::Bool => f.write_str("true or false"),
            Self::Int { min, max } => write!(f, "a whole number ({})", range(min, max)),
            Self::Float { zero: false } => f.write_str("a number (> 0)"),
            Self::Float { zero: true } => f.write_str("a number (>= 0)"),
            Self::Str => f.write_str("a string"),
            Self::StrList => f.write_str("a list of strings"),
            Self::IntList { min, max } => {
                write!(f, "a list of different whole numbers ({})", range(min, max))
            }
            Self::StrOrStrList => f.write_str("a string or a list of strings"),
            Self::Map => f.write_str("a map"),
            Self::StrMap => f.write_str("a map of strings"),
            Self::NumMap => f.write_str("a map of numbers"),
            Self::WordOrInt { words, min, max } => {
                write!(f, "'{}' or a whole number ({})", words.join("', '"), range(min, max))
            }
            Self::Any => f.write_str("anything"),
        }
    }
}

// === KeyDefault ===

/// The value of a key that no layer sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyDefault {
    /// None.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A string.
    Str(&'static str),
    /// A list of strings.
    StrList(&'static [&'static str]),
    /// A list of whole numbers.
    IntList(&'static [i64]),
}

impl KeyDefault {
    /// The default as a value of the configuration.
    pub fn to_value(&self) -> Value {
        match *self {
            Self::Null => Value::Null,
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Float(value) => json!(value),
            Self::Str(value) => json!(value),
            Self::StrList(value) => json!(value),
            Self::IntList(value) => json!(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: Kind = Kind::IntList { min: 1, max: 65_535 };

    #[test]
    fn a_whole_float_is_an_int_and_an_int_is_a_float() {
        let kind = Kind::Int { min: 1, max: 9 };
        assert_eq!(kind.check(&json!(5.0)), Ok(json!(5)));
        assert_eq!(kind.check(&json!(5.5)), Err(Misfit::Type));
        assert_eq!(kind.check(&json!(0)), Err(Misfit::Range));
        assert_eq!(kind.check(&json!(1e300)), Err(Misfit::Range));
        assert_eq!(Kind::Float { zero: false }.check(&json!(768)), Ok(json!(768.0)));
        assert_eq!(Kind::Float { zero: false }.check(&json!(0)), Err(Misfit::Range));
    }

    #[test]
    fn lists_are_written_with_commas_or_in_brackets() {
        assert_eq!(Kind::StrList.parse("a, b"), json!(["a", "b"]));
        assert_eq!(Kind::StrList.parse(r#"["a", "b"]"#), json!(["a", "b"]));
        assert_eq!(PORTS.parse("6700,6701"), json!([6700, 6701]));
        assert_eq!(PORTS.parse("[6700, 6701]"), json!([6700, 6701]));
        assert_eq!(Kind::StrOrStrList.parse("ann"), json!("ann"));
    }

    #[test]
    fn a_list_of_ports_holds_no_port_twice() {
        assert_eq!(PORTS.check(&json!([6700, 6700])), Err(Misfit::Range));
        assert_eq!(PORTS.check(&json!([6700, "x"])), Err(Misfit::Type));
    }

    #[test]
    fn text_that_does_not_parse_is_refused_as_a_string() {
        let kind = Kind::Int { min: 1, max: 9 };
        assert_eq!(kind.check(&kind.parse("tcp://10.0.0.1:80")), Err(Misfit::Type));
        assert_eq!(kind.parse(" 7 "), json!(7));
        assert_eq!(kind.parse("null"), Value::Null);
        assert_eq!(Kind::Str.parse("007"), json!("007"));
        assert_eq!(Kind::StrMap.parse("{A: b}"), json!({"A": "b"}));
    }
}
