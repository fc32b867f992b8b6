//! The description of the interface, for machines.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::jsonp::common_headers;

/// OpenAPI 3.1.
pub const DESCRIPTION: &str = include_str!("../../assets/openapi.json");

/// `/openapi.json`.
pub(crate) async fn description() -> Response {
    let mut response = DESCRIPTION.into_response();
    let kind = HeaderValue::from_static("application/json;charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    common_headers(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::from_str(DESCRIPTION).unwrap()
    }

    #[test]
    fn every_route_is_described_and_every_description_has_a_route() {
        let described = described();
        let mut in_description = BTreeSet::new();
        for (path, item) in described["paths"].as_object().unwrap() {
            for method in
                item.as_object().unwrap().keys().filter(|key| ["get", "post"].contains(&key.as_str()))
            {
                in_description.insert((method.clone(), path.clone()));
            }
        }
        let served = super::super::endpoints().into_iter();
        let served: BTreeSet<_> =
            served.map(|(method, path, _)| (method.to_owned(), format!("/api/v1{path}"))).collect();
        let missing: Vec<_> = served.difference(&in_description).collect();
        let unknown: Vec<_> = in_description.difference(&served).collect();
        assert!(
            missing.is_empty() && unknown.is_empty(),
            "not described: {missing:?}; not served: {unknown:?}"
        );
    }

    #[test]
    fn every_parameter_of_a_path_is_described() {
        for (path, item) in described()["paths"].as_object().unwrap() {
            let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let parameters = item["parameters"].as_array().cloned().unwrap_or_default();
            let described: BTreeSet<&str> = parameters.iter().filter_map(|p| p["name"].as_str()).collect();
            assert_eq!(names.collect::<BTreeSet<_>>(), described, "{path}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, all: &Value) {
            match value {
                Value::Object(map) => {
                    if let Some(to) = map.get("$ref").and_then(Value::as_str) {
                        assert!(all.pointer(to.trim_start_matches('#')).is_some(), "{to}");
                    }
                    map.values().for_each(|value| walk(value, all));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, all)),
                _ => {}
            }
        }
        let all = described();
        assert_eq!(all["openapi"], "3.1.0");
        walk(&all, &all);
    }
}
