//! Where two JSON objects differ, field by field: for messages about documents that should be the same.

use crate::shown::shown;
use serde::Serialize;
use serde_json::Value;

/// The fields of `one` and `other` that differ, in order, each with both values: `until ("…", none)`. Whatever a field
/// is, also one that is added later, a difference in it is told.
pub(crate) fn differences<T: Serialize>(one: &T, other: &T) -> String {
    let object = |value: &T| match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (one, other) = (object(one), object(other));
    let only_in_other = other.keys().filter(|name| !one.contains_key(*name));
    let told: Vec<String> = one
        .keys()
        .chain(only_in_other)
        .filter(|name| one.get(*name) != other.get(*name))
        .map(|name| format!("{name} ({}, {})", value(one.get(name)), value(other.get(name))))
        .collect();
    told.join("; ")
}

fn value(value: Option<&Value>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| shown(&value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_field_that_differs_is_told() {
        let one = json!({"same": 1, "changed": "a", "gone": true});
        let other = json!({"same": 1, "changed": "b", "new": [2]});
        assert_eq!(
            differences(&one, &other),
            r#"changed ("a", "b"); gone (true, none); new (none, [2])"#
        );
        assert_eq!(differences(&one, &one), "");
    }
}
