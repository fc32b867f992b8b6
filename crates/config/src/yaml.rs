//! Reads YAML into JSON values and keeps the line of each key.
//!
//! Built on a parser's events and not on serde, so that a duplicate key is found and every problem
//! names its line. Plain scalars mean what they mean to Storm (YAML 1.1: `yes` is true), except
//! where that surprises: a number with a leading zero, a time and a date stay strings.
//! Depth and size are bounded: a file of aliases to aliases is refused, not expanded.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 100_000;

/// A key of the outermost map with its value and the line on which it stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) line: usize,
}

/// What is wrong with the text, and where.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) line: usize,
    pub(crate) reason: String,
}

/// Reads a document whose outermost node is a map. An empty document is an empty map.
pub(crate) fn parse_document(text: &str) -> Result<Vec<Line>, Vec<Problem>> {
    let (root, lines) = Reader::default().read(text)?;
    match root {
        Value::Null => Ok(Vec::new()),
        Value::Object(map) => {
            let line = |(key, value)| Line { line: lines.get(&key).copied().unwrap_or(1), key, value };
            let mut document: Vec<_> = map.into_iter().map(line).collect();
            // The map is sorted by key; messages shall follow the file.
            document.sort_by_key(|line| line.line);
            Ok(document)
        }
        other => Err(vec![Problem {
            line: 1,
            reason: format!("holds {}, not a map: write 'key: value' lines", found(&other)),
        }]),
    }
}

/// Reads one value of any kind.
pub(crate) fn parse_value(text: &str) -> Result<Value, Vec<Problem>> {
    Reader::default().read(text).map(|(root, _)| root)
}

/// Names a value in a message, with its text where that is short.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the truth value {value}"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(value) if value.chars().count() <= 40 => format!("the string '{value}'"),
        Value::String(_) => "a long string".to_owned(),
        Value::Array(items) => {
            let length = items.len();
            if length <= 8 { format!("the list {value}") } else { format!("a list of {length}") }
        }
        Value::Object(_) => "a map".to_owned(),
    }
}

// === Reader ===

/// A list or map that is still open.
struct Frame {
    anchor: usize,
    node: Node,
}

enum Node {
    List(Vec<Value>),
    Map { map: Map<String, Value>, key: Option<String> },
}

#[derive(Default)]
struct Reader {
    open: Vec<Frame>,
    root: Option<Value>,
    documents: usize,
    nodes: usize,
    anchors: HashMap<usize, Value>,
    lines: HashMap<String, usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn read(mut self, text: &str) -> Result<(Value, HashMap<String, usize>), Vec<Problem>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for event in Parser::new_from_str(text) {
            let step = match event {
                Ok((event, span)) => {
                    let line = span.start.line();
                    self.take(event, line).map_err(|reason| Problem { line, reason })
                }
                Err(error) => Err(Problem {
                    line: error.marker().line(),
                    reason: format!("is not YAML: {}", error.info()),
                }),
            };
            if let Err(problem) = step {
                self.problems.push(problem);
                break;
            }
        }
        if self.problems.is_empty() {
            Ok((self.root.unwrap_or_default(), self.lines))
        } else {
            Err(self.problems)
        }
    }

    /// Takes one event; an error ends the reading.
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err("starts a second document: keep one per file".to_owned());
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref())?;
                self.add(value, anchor, 1, line)?;
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or("refers to an anchor within itself")?;
                let size = size(&value);
                self.add(value, 0, size, line)?;
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Node::List(Vec::new()))?,
            Event::MappingStart(anchor, _) => {
                self.open(anchor, Node::Map { map: Map::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let frame = self.open.pop().ok_or("ends what was not begun")?;
                let value = match frame.node {
                    Node::List(items) => Value::Array(items),
                    Node::Map { map, .. } => Value::Object(map),
                };
                self.add(value, frame.anchor, 1, line)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, node: Node) -> Result<(), String> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("is nested more than {DEPTH_MAX} deep"));
        }
        self.open.push(Frame { anchor, node });
        Ok(())
    }

    /// Puts a finished node where it belongs: a list, the key or value of a map, the root.
    fn add(&mut self, value: Value, anchor: usize, size: usize, line: usize) -> Result<(), String> {
        self.nodes += size;
        if self.nodes > NODES_MAX {
            return Err(format!("has more than {NODES_MAX} values, aliases counted in full"));
        }
        if anchor > 0 {
            // A kept copy costs as much as a written one.
            self.nodes += self::size(&value);
            self.anchors.insert(anchor, value.clone());
        }
        let outermost = self.open.len() == 1;
        match self.open.last_mut().map(|frame| &mut frame.node) {
            None => self.root = Some(value),
            Some(Node::List(items)) => items.push(value),
            Some(Node::Map { map, key }) => match key.take() {
                Some(key) => {
                    map.insert(key, value);
                }
                None => {
                    let name = match value {
                        Value::String(name) if name != "<<" => name,
                        Value::String(_) => return Err("uses the merge key '<<': copy it".into()),
                        Value::Array(_) | Value::Object(_) => {
                            return Err("has a list or map for a key: use a string".into());
                        }
                        other => {
                            let reason = format!("has {} for a key: put it in quotes", found(&other));
                            self.problems.push(Problem { line, reason });
                            other.to_string()
                        }
                    };
                    if map.contains_key(&name) {
                        let before = self.lines.get(&name).filter(|_| outermost);
                        let before = before.map(|line| format!(", first in line {line}"));
                        let before = before.unwrap_or_default();
                        let reason = format!("has the key '{name}' twice{before}: remove one");
                        self.problems.push(Problem { line, reason });
                    } else if outermost {
                        self.lines.insert(name.clone(), line);
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

// === Scalars ===

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    match tag {
        None if style == ScalarStyle::Plain => plain(text),
        None => Ok(json!(text)),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(json!(text)),
        Some(tag) if tag.is_yaml_core_schema() => plain(text),
        Some(tag) => Err(format!("has the unknown tag '{}{}'", tag.handle, tag.suffix)),
    }
}

fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => json!(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => json!(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" => {
            return Err(format!("has the number {text}, which is not a finite one"));
        }
        _ => number(text).unwrap_or_else(|| json!(text)),
    })
}

fn number(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().filter(|_| unsigned == text).map(Value::from);
    }
    let mut start = unsigned.chars();
    let digit = start.next().is_some_and(|c| c.is_ascii_digit() || c == '.');
    let leading_zero = unsigned.starts_with('0') && start.next().is_some_and(|c| c.is_ascii_digit());
    if !digit || leading_zero {
        return None;
    }
    let digits = text.replace('_', "");
    if let Ok(whole) = digits.parse::<i64>() {
        return Some(json!(whole));
    }
    let decimal = digits.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    let float = digits.parse::<f64>().ok().filter(|float| decimal && float.is_finite());
    float.map(|float| json!(float))
}

#[cfg(test)]
mod tests;
