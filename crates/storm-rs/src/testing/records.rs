//! Tuples of a run, and what can be asserted about them.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};

use storm_model::{ComponentId, Fields, StreamSpec, TaskId, Value};
use storm_row::{Row, RowBuilder};

use super::MAX_ROW;
use super::record::{Key, Record, compare_values, shown};

/// Problems that a message lists; it counts the others.
const PROBLEMS_MAX: usize = 5;

/// Tuples that a component emitted or got, in the order in which it happened.
///
/// From [`History::emits`](super::History::emits), [`History::arrivals`](super::History::arrivals)
/// and the tests of single bolts and spouts. First narrow them down
/// ([`on_stream`](Records::on_stream), [`from`](Records::from)), then say within what an assertion
/// is to hold, if that is not all of them ([`by_key`](Records::by_key), [`by_task`](Records::by_task),
/// [`by_source_task`](Records::by_source_task)), then assert. Names of streams, components and
/// fields that do not exist are an error, so that no assertion holds by a slip of the pen.
#[derive(Clone, Debug)]
pub struct Records {
    /// Who did what: `'count' got`.
    subject: String,
    /// Tasks of the component.
    tasks: Vec<TaskId>,
    /// The streams that the tuples may come by.
    streams: Vec<(ComponentId, StreamSpec)>,
    groups: Vec<Group>,
    /// What the groups have in common: ` among tuples of the same word`.
    among: String,
    /// Ends every message: how to see it again.
    note: String,
}

#[derive(Clone, Debug)]
struct Group {
    label: String,
    records: Vec<Record>,
}

impl Records {
    pub(super) fn new(
        subject: String,
        tasks: Vec<TaskId>,
        streams: Vec<(ComponentId, StreamSpec)>,
        records: Vec<Record>,
        note: String,
    ) -> Records {
        let groups = vec![Group { label: String::new(), records }];
        Records { subject, tasks, streams, groups, among: String::new(), note }
    }

    /// Those of one stream.
    ///
    /// # Panics
    /// When there is no such stream.
    #[track_caller]
    pub fn on_stream(self, stream: &str) -> Records {
        self.narrow("stream", stream, |_, s| s.id == *stream, |r| r.stream == *stream)
    }

    /// Those that this component emitted.
    ///
    /// # Panics
    /// When nothing can come from there.
    #[track_caller]
    pub fn from(self, component: &str) -> Records {
        self.narrow("component", component, |c, _| *c == *component, |r| r.emitter.0 == *component)
    }

    #[track_caller]
    fn narrow(
        mut self,
        kind: &str,
        name: &str,
        keep_stream: impl Fn(&ComponentId, &StreamSpec) -> bool,
        keep: impl Fn(&Record) -> bool,
    ) -> Records {
        if !self.streams.iter().any(|(c, s)| keep_stream(c, s)) {
            panic!("what {} comes from no {kind} '{name}'; it comes from {}", self.subject, self.sources());
        }
        self.streams.retain(|(c, s)| keep_stream(c, s));
        self.groups.iter_mut().for_each(|g| g.records.retain(&keep));
        self
    }

    fn sources(&self) -> String {
        let names: Vec<_> = self.streams.iter().map(|(c, s)| format!("'{}' of '{c}'", s.id)).collect();
        if names.is_empty() { "no stream at all".to_owned() } else { names.join(", ") }
    }

    /// What follows is to hold among the tuples with the same values of these fields.
    ///
    /// # Panics
    /// When a stream has no such field.
    #[track_caller]
    pub fn by_key<N: AsRef<str>>(self, fields: impl IntoIterator<Item = N>) -> Records {
        let fields = self.known(fields);
        let among = format!(" among tuples with the same {}", names(&fields));
        self.split(among, |r| {
            let key = key_of(r, &fields);
            let label = shown(&fields, &key.0);
            (key, label)
        })
    }

    /// What follows is to hold in each task of the component, also in one that has no tuple.
    pub fn by_task(self) -> Records {
        let tasks = self.tasks.clone();
        let mut split = self.split(" in each task".to_owned(), |r| (r.task(), task_label(r.task())));
        for task in tasks {
            let label = task_label(task);
            if split.groups.iter().all(|g| g.label != label) {
                split.groups.push(Group { label, records: Vec::new() });
            }
        }
        split
    }

    /// What follows is to hold among the tuples that one task sent to one other. The engine keeps
    /// these in order; those of two tasks come in any order.
    pub fn by_source_task(self) -> Records {
        self.split(" from one task to one other".to_owned(), |r| {
            let label = match &r.receiver {
                None => task_label(r.task()),
                Some((_, receiver)) => format!("from task {} to task {receiver}", r.source_task()),
            };
            ((r.source_task(), r.task()), label)
        })
    }

    fn split<K: Ord>(mut self, among: String, key: impl Fn(&Record) -> (K, String)) -> Records {
        let mut groups = Vec::new();
        for Group { label, records } in self.groups {
            let mut parts: BTreeMap<K, Group> = BTreeMap::new();
            for record in records {
                let (key, part) = key(&record);
                let label = if label.is_empty() { part } else { format!("{label}, {part}") };
                parts.entry(key).or_insert(Group { label, records: Vec::new() }).records.push(record);
            }
            groups.extend(parts.into_values());
        }
        self.groups = groups;
        self.among += &among;
        self
    }

    /// The tuples.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.groups.iter().flat_map(|g| &g.records)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their values.
    pub fn values(&self) -> Vec<Vec<Value>> {
        self.iter().map(|r| r.values.clone()).collect()
    }

    /// No two tuples have the same stream and values.
    ///
    /// # Panics
    /// When that is not so: with the tuples, their tasks and times.
    #[track_caller]
    pub fn assert_no_duplicates(&self) -> &Records {
        let key = |r: &Record| (r.emitter.0.clone(), r.stream.clone(), Key(r.values.clone()));
        self.check_duplicates("no two tuples are the same", key)
    }

    /// No two tuples have the same values of these fields.
    ///
    /// # Panics
    /// When that is not so: with the tuples, their tasks and times. When a stream has no such
    /// field.
    #[track_caller]
    pub fn assert_no_duplicates_by<N: AsRef<str>>(&self, fields: impl IntoIterator<Item = N>) -> &Records {
        let fields = self.known(fields);
        let expected = format!("no two tuples have the same {}", names(&fields));
        self.check_duplicates(&expected, |r| key_of(r, &fields))
    }

    #[track_caller]
    fn check_duplicates<K: Ord>(&self, expected: &str, key: impl Fn(&Record) -> K) -> &Records {
        let mut problems = Vec::new();
        for group in &self.groups {
            let mut seen: BTreeMap<K, Vec<&Record>> = BTreeMap::new();
            for record in &group.records {
                seen.entry(key(record)).or_default().push(record);
            }
            let mut many: Vec<_> = seen.into_values().filter(|records| records.len() > 1).collect();
            many.sort_by_key(|records| records[1].at);
            problems.extend(many.into_iter().map(|records| told(&group.label, &records)));
        }
        self.report("tuples more than once", problems, expected);
        self
    }

    /// These fields have each of the expected values in exactly one tuple, and no others: nothing
    /// is missing, nothing came twice, nothing is new.
    ///
    /// # Panics
    /// When that is not so: with what is missing, or there too often. When a stream has no such
    /// field.
    ///
    /// ```
    /// # use storm_rs::prelude::*;
    /// # use storm_rs::testing::BoltTest;
    /// # struct Pass;
    /// # impl Bolt for Pass {
    /// #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["id", "text"]); }
    /// #     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
    /// #         out.emit(input);
    /// #         Ok(())
    /// #     }
    /// # }
    /// let mut pass = BoltTest::new(Pass).input("orders", ["id", "text"]);
    /// pass.execute((1, "tea"));
    /// pass.execute((2, "milk"));
    /// pass.emits().assert_each_once(["id"], [(1,), (2,)]);
    /// ```
    #[track_caller]
    pub fn assert_each_once<N: AsRef<str>, R: Row>(
        &self,
        fields: impl IntoIterator<Item = N>,
        expected: impl IntoIterator<Item = R>,
    ) -> &Records {
        self.check_each(self.known(fields), expected, true)
    }

    /// As [`assert_each_once`](Records::assert_each_once), but each may come again: what at least
    /// once promises.
    ///
    /// # Panics
    /// When an expected value is missing, or there is another one. When a stream has no such field.
    #[track_caller]
    pub fn assert_each_at_least_once<N: AsRef<str>, R: Row>(
        &self,
        fields: impl IntoIterator<Item = N>,
        expected: impl IntoIterator<Item = R>,
    ) -> &Records {
        self.check_each(self.known(fields), expected, false)
    }

    #[track_caller]
    fn check_each<R: Row>(
        &self,
        fields: Fields,
        expected: impl IntoIterator<Item = R>,
        is_exact: bool,
    ) -> &Records {
        let mut builder = RowBuilder::new(MAX_ROW);
        let mut wanted: BTreeMap<Key, usize> = BTreeMap::new();
        for row in expected {
            let values = builder.write_row(&row).expect("a row that can be written").to_values();
            let found = values.len();
            assert!(found == fields.len(), "an expected tuple has {found} values, for the fields {fields}");
            *wanted.entry(Key(values)).or_default() += 1;
        }
        let mut problems = Vec::new();
        for group in &self.groups {
            let mut seen: BTreeMap<Key, Vec<&Record>> = BTreeMap::new();
            for record in &group.records {
                seen.entry(key_of(record, &fields)).or_default().push(record);
            }
            let label = if group.label.is_empty() { String::new() } else { format!(" ({})", group.label) };
            for (key, count) in &wanted {
                let found = seen.remove(key).unwrap_or_default();
                let key = shown(&fields, &key.0);
                if found.len() < *count && found.is_empty() {
                    problems.push(format!("missing: {key}{label}"));
                } else if found.len() < *count {
                    problems.push(format!("{} of {count} times: {key}{label}", found.len()));
                } else if is_exact && found.len() > *count {
                    let times = format!("{} times instead of {count}: {key}", found.len());
                    problems.push(told(&format!("{times}{label}"), &found));
                }
            }
            problems.extend(seen.into_values().map(|found| told(&format!("not expected{label}"), &found)));
        }
        let (times, total) =
            (if is_exact { "once" } else { "at least once" }, wanted.values().sum::<usize>());
        let expected = format!("each of {total} values of {} {times}, and no others", names(&fields));
        self.report("other tuples than expected", problems, &expected);
        self
    }

    /// The value of this field never goes down from one tuple to the next. (Of two that are equal
    /// [`assert_no_duplicates_by`](Records::assert_no_duplicates_by) tells.)
    ///
    /// # Panics
    /// When it does: with both tuples, their tasks and times. When a stream has no such field.
    ///
    /// ```
    /// # use storm_rs::prelude::*;
    /// # use storm_rs::testing::BoltTest;
    /// # struct Pass;
    /// # impl Bolt for Pass {
    /// #     fn declare_outputs(&self, out: &mut OutputDeclarer) { out.fields(["user", "n"]); }
    /// #     fn execute(&mut self, input: &Tuple, out: &mut BoltOutput) -> Result<(), BoltError> {
    /// #         out.emit(input);
    /// #         Ok(())
    /// #     }
    /// # }
    /// let mut pass = BoltTest::new(Pass).input("clicks", ["user", "n"]);
    /// for click in [("ann", 2), ("bob", 1), ("ann", 3)] {
    ///     pass.execute(click);
    /// }
    /// pass.emits().by_key(["user"]).assert_in_order("n");
    /// ```
    #[track_caller]
    pub fn assert_in_order(&self, field: &str) -> &Records {
        self.known([field]);
        let expected = format!("'{field}' never goes down");
        self.check_order(&expected, |a, b| compare_values(a.get(field), b.get(field)).is_le())
    }

    /// As [`assert_in_order`](Records::assert_in_order), by a position that is computed from the
    /// tuple.
    ///
    /// # Panics
    /// When it goes down, or two positions cannot be compared.
    #[track_caller]
    pub fn assert_in_order_by<P: PartialOrd + Debug>(&self, position: impl Fn(&Record) -> P) -> &Records {
        self.check_order("the position never goes down", |a, b| position(a) <= position(b))
    }

    #[track_caller]
    fn check_order(&self, expected: &str, is_ordered: impl Fn(&Record, &Record) -> bool) -> &Records {
        let mut problems = Vec::new();
        for group in &self.groups {
            let pairs = group.records.windows(2).filter(|pair| !is_ordered(&pair[0], &pair[1]));
            problems.extend(pairs.map(|pair| told(&group.label, &[&pair[0], &pair[1]])));
        }
        self.report("tuples out of order", problems, expected);
        self
    }

    /// These fields, which every stream must have.
    #[track_caller]
    fn known<N: AsRef<str>>(&self, fields: impl IntoIterator<Item = N>) -> Fields {
        let fields = Fields::new(fields);
        for (component, stream) in &self.streams {
            if let Some(field) = fields.iter().find(|f| stream.fields.index(f).is_none()) {
                panic!(
                    "stream '{}' of '{component}' has no field '{field}', it has {}: \
                     `on_stream` or `from` may narrow it down",
                    stream.id, stream.fields,
                );
            }
        }
        fields
    }

    /// Fails the test if there are problems.
    #[track_caller]
    fn report(&self, what: &str, problems: Vec<String>, expected: &str) {
        if problems.is_empty() {
            return;
        }
        let list = listed(&problems);
        let text =
            format!("{} {what}:\n{list}expected: {expected}{}\n{}", self.subject, self.among, self.note);
        panic!("{}", text.trim_end());
    }
}

/// Problems below each other, the first few of them.
pub(super) fn listed(problems: &[String]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(PROBLEMS_MAX) {
        writeln!(text, "  {problem}").expect("a string takes everything");
    }
    if problems.len() > PROBLEMS_MAX {
        writeln!(text, "  and {} more", problems.len() - PROBLEMS_MAX).expect("a string takes everything");
    }
    text
}

/// A problem and its tuples below each other, the first few of them.
fn told(label: &str, records: &[&Record]) -> String {
    let mut lines: Vec<String> = records.iter().take(PROBLEMS_MAX).map(|r| r.told()).collect();
    if records.len() > PROBLEMS_MAX {
        lines.push(format!("and {} more", records.len() - PROBLEMS_MAX));
    }
    if label.is_empty() { lines.join("\n  then ") } else { format!("{label}:\n    {}", lines.join("\n    ")) }
}

fn task_label(task: TaskId) -> String {
    format!("task {task}")
}

fn key_of(record: &Record, fields: &Fields) -> Key {
    Key(fields.iter().map(|f| record.get(f).clone()).collect())
}

fn names(fields: &Fields) -> String {
    let names: Vec<_> = fields.iter().collect();
    match &names[..] {
        [] => "nothing".to_owned(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
