//! What JSON is to look like.
//!
//! A text is the kind of a value, several joined by `|`:
//!
//! | kind | what |
//! |---|---|
//! | `text`, `name` | any text; one that is not empty |
//! | `int`, `number` | a whole number from 0 on; any number |
//! | `numeric` | what a program can read a number from: a number, or a text of one |
//! | `fraction` | a text with three digits after the point, `1.500` |
//! | `uptime` | `1d 2h 3m 4s`, or an empty text |
//! | `url` | an absolute link |
//! | `bool`, `null`, `any` | |
//! | `=word` | this word |
//!
//! An array `[shape]` holds any number of such, `["+", shape]` at least one, `["4", shape]` four. An
//! object has at least these fields; one with the field `*` is a map to such values.

use serde_json::Value;

/// Adds what is wrong with a value to the problems.
pub(crate) fn check(shape: &Value, value: &Value, at: &str, exact: bool, problems: &mut Vec<String>) {
    match (shape, value) {
        (Value::String(kinds), _) => {
            if !kinds.split('|').any(|kind| is_of(kind, value)) {
                problems.push(format!("{at} is {value}, not {kinds}"));
            }
        }
        (Value::Array(shapes), Value::Array(values)) => {
            let (count, shape) = match shapes.as_slice() {
                [shape] => ("", shape),
                [Value::String(count), shape] => (count.as_str(), shape),
                _ => panic!("{at}: a shape of an array is [shape] or [count, shape]"),
            };
            let fits = match count {
                "" => true,
                "+" => !values.is_empty(),
                count => count.parse() == Ok(values.len()),
            };
            if !fits {
                problems.push(format!("{at} has {} elements, not {count}", values.len()));
            }
            for (place, value) in values.iter().enumerate() {
                check(shape, value, &format!("{at}/{place}"), exact, problems);
            }
        }
        (Value::Object(shapes), Value::Object(values)) => {
            if let Some(shape) = shapes.get("*") {
                for (name, value) in values {
                    check(shape, value, &format!("{at}/{name}"), exact, problems);
                }
                return;
            }
            for (name, shape) in shapes {
                match values.get(name) {
                    Some(value) => check(shape, value, &format!("{at}/{name}"), exact, problems),
                    None => problems.push(format!("{at} has no '{name}'")),
                }
            }
            for name in values.keys().filter(|name| exact && !shapes.contains_key(*name)) {
                problems.push(format!("{at} has an unexpected '{name}'"));
            }
        }
        (shape, value) => problems.push(format!("{at} is {value}, not like {shape}")),
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    let text = value.as_str();
    match kind {
        "any" => true,
        "null" => value.is_null(),
        "bool" => value.is_boolean(),
        "int" => value.is_u64(),
        "number" => value.is_number(),
        "numeric" => value.is_number() || text.is_some_and(|text| text.parse::<f64>().is_ok()),
        "text" => text.is_some(),
        "name" => text.is_some_and(|text| !text.is_empty()),
        "url" => text.is_some_and(|text| text.starts_with("http://") || text.starts_with("https://")),
        "fraction" => text.is_some_and(is_fraction),
        "uptime" => text.is_some_and(is_uptime),
        kind => match kind.strip_prefix('=') {
            Some(word) => text == Some(word),
            None => panic!("unknown kind '{kind}'"),
        },
    }
}

fn is_fraction(text: &str) -> bool {
    let parts = text.split_once('.');
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    parts.is_some_and(|(whole, rest)| !whole.is_empty() && digits(whole) && rest.len() == 3 && digits(rest))
}

fn is_uptime(text: &str) -> bool {
    let is_part =
        |part: &str| part.strip_suffix(['d', 'h', 'm', 's']).is_some_and(|n| n.parse::<u64>().is_ok());
    text.is_empty() || text.split(' ').all(is_part)
}

#[test]
fn a_shape_tells_what_is_wrong() {
    let shape = serde_json::json!({"a": ["+", {"b": "fraction|null"}], "c": {"*": "int"}});
    let found = |value: Value| {
        let mut problems = Vec::new();
        check(&shape, &value, "", true, &mut problems);
        problems.join("; ")
    };
    assert_eq!(found(serde_json::json!({"a": [{"b": "1.000"}, {"b": null}], "c": {"x": 1}})), "");
    assert_eq!(
        found(serde_json::json!({"a": [], "c": {"x": -1}})),
        "/a has 0 elements, not +; /c/x is -1, not int"
    );
    let wrong = found(serde_json::json!({"a": [{"b": "1.0", "d": 1}]}));
    assert_eq!(wrong, "/a/0/b is \"1.0\", not fraction|null; /a/0 has an unexpected 'd';  has no 'c'");
}
