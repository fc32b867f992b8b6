//! `#[derive(Row)]` as a user sees it: what is emitted as a struct is read as a struct.

use std::collections::BTreeMap;
use std::sync::Mutex;

use storm_row::{Batch, Header};
use storm_rs::{Fields, FromTuple, Row, RowBuilder, StreamInfo, TaskId, Tuple, Value, values};

#[derive(Row, Debug, PartialEq)]
struct Hit<'a> {
    path: &'a str,
    size: u64,
}

#[derive(Row, Debug, PartialEq)]
struct OwnedHit {
    size: u64,
    path: String,
}

#[derive(Row, Debug, PartialEq)]
struct Renamed {
    #[row(rename = "status.code")]
    code: u16,
    r#type: Option<String>,
}

#[derive(Row, Debug, PartialEq)]
struct Keyed<K, const N: usize> {
    key: K,
    digest: [u8; N],
}

#[derive(Row, Debug)]
struct Page<'a, T>
where
    T: Default,
{
    url: &'a str,
    #[row(opaque)]
    words: BTreeMap<String, Vec<(u32, u32)>>,
    #[row(opaque, rename = "seen")]
    unclonable: Mutex<Vec<u8>>,
    #[row(opaque)]
    extra: T,
}

#[derive(Row, Debug, PartialEq)]
struct Nothing {}

/// Sends `row` through a batch and reads it on the other side of a stream with these fields.
fn through_a_batch<R>(row: &impl Row, fields: &[&str], read: impl FnOnce(&Tuple<'_>) -> R) -> R {
    let mut builder = RowBuilder::new(1 << 20);
    let mut batch = Batch::new();
    let header = Header { target: TaskId(2), source: TaskId(1), stream: 0 };
    batch.push(header, &[], &builder.write_row(row).expect("the row can be written"));
    let source =
        StreamInfo { component: "source".into(), stream: "default".into(), fields: Fields::new(fields) };
    let row = batch.iter().next().expect("one row was pushed");
    read(&Tuple::new(row, &source))
}

/// Reads `row` as `T` from the stream that `T` declares.
fn error_of<T: for<'t> FromTuple<'t>>(row: &impl Row, fields: &[&str]) -> String {
    through_a_batch(row, fields, |tuple| match tuple.to::<T>() {
        Ok(_) => panic!("the tuple is no such struct"),
        Err(error) => error.to_string(),
    })
}

#[test]
fn a_struct_that_borrows_is_read_in_place() {
    let hit = Hit { path: "/a/path/too/long/to/lie/in/a/slot", size: 7 };
    through_a_batch(&hit, &Hit::FIELDS, |tuple| {
        let read: Hit<'_> = tuple.to().unwrap();
        assert_eq!(read, hit);
        assert_eq!(read.path.as_ptr(), tuple.get::<&str>(0).unwrap().as_ptr());
    });
}

#[test]
fn a_struct_that_owns_outlives_its_tuple() {
    let read: OwnedHit =
        through_a_batch(&Hit { path: "/", size: 7 }, &Hit::FIELDS, |tuple| tuple.to().unwrap());
    assert_eq!(read, OwnedHit { size: 7, path: "/".into() });
}

#[test]
fn fields_are_written_in_order_and_read_by_name() {
    assert_eq!(Hit::FIELDS, ["path", "size"]);
    assert_eq!(OwnedHit::FIELDS, ["size", "path"]);
    let row = values!["more", 7, "/"];
    let read: OwnedHit = through_a_batch(&row, &["referrer", "size", "path"], |tuple| tuple.to().unwrap());
    assert_eq!(read, OwnedHit { size: 7, path: "/".into() });
    let values = through_a_batch(&read, &OwnedHit::FIELDS, |tuple| tuple.values().to_values());
    assert_eq!(values, values![7, "/"]);
}

#[test]
fn names_are_those_of_the_tuple() {
    assert_eq!(Renamed::FIELDS, ["status.code", "type"]);
    let row = Renamed { code: 404, r#type: None };
    let read: Renamed = through_a_batch(&row, &Renamed::FIELDS, |tuple| {
        assert!(tuple.field("type").is_some_and(|field| field.is_null()));
        tuple.to().unwrap()
    });
    assert_eq!(read, row);
}

#[test]
fn type_and_const_parameters_are_bounded_where_they_stand() {
    let row = Keyed { key: "user".to_owned(), digest: [1, 2, 3, 4] };
    assert_eq!(Keyed::<String, 4>::FIELDS, ["key", "digest"]);
    let read: Keyed<String, 4> =
        through_a_batch(&row, &Keyed::<String, 4>::FIELDS, |tuple| tuple.to().unwrap());
    assert_eq!(read, row);
    // A parameter may also borrow from the tuple.
    through_a_batch(&row, &Keyed::<&str, 4>::FIELDS, |tuple| {
        assert_eq!(tuple.to::<Keyed<&str, 4>>().unwrap().key, "user");
    });
}

#[test]
fn an_opaque_field_is_written_without_a_clone() {
    let words = BTreeMap::from([("storm".to_owned(), vec![(1, 2), (3, 4)])]);
    let page = Page { url: "/", words: words.clone(), unclonable: Mutex::new(vec![9]), extra: Some(1.5) };
    let fields = Page::<Option<f64>>::FIELDS;
    assert_eq!(fields, ["url", "words", "seen", "extra"]);
    through_a_batch(&page, &fields, |tuple| {
        assert!(matches!(tuple.field("words").map(|field| field.to_value()), Some(Value::Opaque(_))));
        let read: Page<'_, Option<f64>> = tuple.to().unwrap();
        assert_eq!((read.url, read.words, read.extra), ("/", words.clone(), Some(1.5)));
        assert_eq!(*read.unclonable.lock().unwrap(), [9]);
    });
}

#[test]
fn no_field_is_a_row_as_well() {
    assert_eq!(Nothing::FIELDS, [""; 0]);
    assert_eq!(through_a_batch(&Nothing {}, &[], |tuple| tuple.to::<Nothing>().unwrap()), Nothing {});
}

#[test]
fn an_error_names_the_field_of_the_tuple() {
    assert_eq!(
        error_of::<OwnedHit>(&values!["/", 7], &["page", "size"]),
        "field 'path' of stream 'default' of 'source': no such field; the stream has [page, size]"
    );
    assert_eq!(
        error_of::<Renamed>(&values![70_000, "x"], &Renamed::FIELDS),
        "field 'status.code' of stream 'default' of 'source': 70000 cannot be exactly a value of u16"
    );
}
