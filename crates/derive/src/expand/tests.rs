use quote::quote;

use super::*;

fn check_error(input: TokenStream, message: &str) {
    let error = derive(input).expect_err("this is not derivable");
    assert_eq!(error.to_string(), message);
}

#[test]
fn an_enum_is_refused_with_a_way_out() {
    check_error(
        quote!(
            enum Hit {
                Page(String),
            }
        ),
        "Row cannot be derived for an enum: use a struct with named fields; an enum can be one of its fields with #[row(opaque)]",
    );
}

#[test]
fn a_union_is_refused() {
    check_error(
        quote!(union Bits { a: u32, b: f32 }),
        "Row cannot be derived for a union: use a struct with named fields",
    );
}

#[test]
fn a_tuple_struct_is_refused() {
    check_error(
        quote!(
            struct Hit(String, u64);
        ),
        "Row cannot be derived for a tuple struct: the fields of a tuple go by name; name these, or emit a plain tuple of values",
    );
}

#[test]
fn a_unit_struct_is_refused() {
    check_error(
        quote!(
            struct Nothing;
        ),
        "Row cannot be derived for a struct without a list of fields: write `{}` or emit `()`",
    );
}

#[test]
fn a_second_lifetime_is_refused() {
    check_error(
        quote!(
            struct Pair<'a, 'b> {
                left: &'a str,
                right: &'b str,
            }
        ),
        "Row can be derived with at most one lifetime: that of the tuple a struct is read from",
    );
}

#[test]
fn a_name_that_stands_twice_is_refused() {
    check_error(
        quote!(
            struct Hit {
                path: String,
                #[row(rename = "path")]
                page: String,
            }
        ),
        "a field named 'path' stands here twice",
    );
}

#[test]
fn an_unknown_attribute_is_refused() {
    check_error(
        quote!(
            struct Hit {
                #[row(skip)]
                path: String,
            }
        ),
        "unknown attribute: expected `rename = \"name\"` or `opaque`",
    );
}

#[test]
fn an_empty_name_is_refused() {
    check_error(
        quote!(
            struct Hit {
                #[row(rename = "")]
                path: String,
            }
        ),
        "a field needs a name",
    );
}

#[test]
fn an_attribute_on_the_struct_is_refused() {
    check_error(
        quote!(
            #[row(opaque)]
            struct Hit {
                path: String,
            }
        ),
        "#[row(..)] belongs on a field",
    );
}

#[test]
fn only_fields_of_a_parameters_type_are_bounded() {
    let input = quote!(
        struct Keyed<'a, K, const N: usize> {
            key: Option<K>,
            hash: [u8; N],
            text: &'a str,
        }
    );
    let output = derive(input).expect("this is derivable").to_string();
    let bounds = output.split("where").nth(1).and_then(|rest| rest.split('{').next());
    assert_eq!(
        bounds.map(str::trim),
        Some("Option < K > : :: storm_rs :: ToField , [u8 ; N] : :: storm_rs :: ToField")
    );
}
