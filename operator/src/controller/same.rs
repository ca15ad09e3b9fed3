//! Whether an object is as it is wanted: only what the operator wants is compared, since the API server
//! fills in the rest.

use kube::api::DynamicObject;
use serde_json::Value;

/// Whether nothing has to be applied: what was applied last is what is wanted, and nobody has changed
/// it since.
pub(crate) fn is_as_wanted(wanted: &Value, there: &DynamicObject, applied: &str) -> bool {
    let Ok(there) = serde_json::to_value(there) else {
        return false;
    };
    let mark = |object: &Value| {
        object
            .pointer("/metadata/annotations")?
            .get(applied)
            .cloned()
    };
    // In a list, objects do not say what they are.
    let mut wanted = wanted.clone();
    if let Some(wanted) = wanted.as_object_mut() {
        wanted.retain(|field, _| field != "apiVersion" && field != "kind");
    }
    // A field that is not wanted any more shows only by the mark.
    mark(&wanted) == mark(&there) && is_within(&wanted, &there)
}

/// Whether everything in `wanted` is in `there`. Lists have to have the same length.
fn is_within(wanted: &Value, there: &Value) -> bool {
    match (wanted, there) {
        (Value::Object(wanted), Value::Object(there)) => {
            wanted.iter().all(|(key, value)| match there.get(key) {
                Some(there) => is_within(value, there),
                None => is_nothing(value),
            })
        }
        (Value::Array(wanted), Value::Array(there)) => {
            wanted.len() == there.len()
                && wanted
                    .iter()
                    .zip(there)
                    .all(|(wanted, there)| is_within(wanted, there))
        }
        (Value::String(wanted), Value::String(there)) => {
            wanted == there || is_same_quantity(wanted, there)
        }
        (wanted, there) => wanted == there,
    }
}

/// What the API server does not store.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.values().all(is_nothing),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The API server writes quantities anew: `1000m` becomes `1`.
fn is_same_quantity(one: &str, other: &str) -> bool {
    matches!((thousandths(one), thousandths(other)), (Some(one), Some(other)) if one == other)
}

/// A quantity in thousandths; none if it is no plain one.
fn thousandths(text: &str) -> Option<u128> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(number.len()..)?;
    let factor: u128 = match unit {
        "m" => 1,
        unit => u128::from(crate::quantity::bytes(&format!("1{unit}"))?) * 1000,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 3 || whole.is_empty() {
        return None;
    }
    let thousand: u128 = format!("{whole}{part:0<3}").parse().ok()?;
    thousand.checked_mul(factor).map(|product| product / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(wanted: &Value, there: &Value, same: bool) {
        assert_eq!(is_within(wanted, there), same, "{wanted} in {there}");
    }

    #[test]
    fn what_the_api_server_fills_in_is_no_difference() {
        check(
            &json!({"a": {"b": 1}}),
            &json!({"a": {"b": 1, "c": 2}, "d": 3}),
            true,
        );
        check(
            &json!({"l": [{"a": 1}]}),
            &json!({"l": [{"a": 1, "b": 2}]}),
            true,
        );
        check(&json!({"e": {}, "f": []}), &json!({}), true);
    }

    #[test]
    fn what_somebody_changed_is() {
        check(&json!({"a": 1}), &json!({"a": 2}), false);
        check(&json!({"a": 1}), &json!({}), false);
        check(&json!({"l": [1]}), &json!({"l": [1, 2]}), false);
        check(&json!({"a": "x"}), &json!({"a": "y"}), false);
    }

    #[test]
    fn quantities_are_compared_by_value() {
        for (one, other) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
        ] {
            check(&json!(one), &json!(other), true);
        }
        check(&json!("1"), &json!("2"), false);
        check(&json!("v1"), &json!("v2"), false);
    }
}
