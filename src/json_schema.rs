//! As much of JSON Schema (draft 2020-12) as `messages.schema.json` and the events' schemas use. CI
//! validates the same examples by a full validator; this one tells at once when code and schema
//! part.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Of an object, those properties that some keyword looked at.
type Evaluated = BTreeSet<String>;
type Checked = Result<Evaluated, String>;

/// Whether `value` is what `$defs/name` says.
pub fn check(schema: &Value, name: &str, value: &Value) -> Result<(), String> {
    let definition = &schema["$defs"][name];
    assert!(definition.is_object(), "the schema has no {name}");
    apply(schema, definition, value).map(|_| ()).map_err(|why| format!("{value}: {why}"))
}

fn apply(root: &Value, schema: &Value, value: &Value) -> Checked {
    let keywords = schema.as_object().ok_or("a schema is an object")?;
    let mut evaluated = Evaluated::new();
    for (keyword, rule) in keywords {
        let holds = match keyword.as_str() {
            "$ref" => {
                let name = rule.as_str().ok_or("a $ref")?;
                let name = name.strip_prefix("#/$defs/").unwrap_or(name);
                assert!(root["$defs"][name].is_object(), "the schema has no {name}");
                evaluated.extend(apply(root, &root["$defs"][name], value)?);
                true
            }
            "oneOf" => {
                evaluated.extend(one_of(root, rule, value)?);
                true
            }
            "properties" => {
                evaluated.extend(properties(root, rule, value)?);
                true
            }
            "items" => items(root, rule, value)?,
            "required" => {
                let has = |name: &Value| name.as_str().is_some_and(|n| value.get(n).is_some());
                rule.as_array().is_some_and(|names| names.iter().all(has))
            }
            "type" => is_type(rule.as_str().unwrap_or_default(), value),
            "const" => rule == value,
            "enum" => rule.as_array().is_some_and(|all| all.contains(value)),
            "minimum" => value.as_i64().is_none_or(|n| Some(n) >= rule.as_i64()),
            "maximum" => value.as_u64().is_none_or(|n| Some(n) <= rule.as_u64()),
            "maxLength" => length(value).is_none_or(|n| Some(n) <= rule.as_u64()),
            "minLength" => length(value).is_none_or(|n| Some(n) >= rule.as_u64()),
            "maxItems" => value.as_array().is_none_or(|l| Some(l.len() as u64) <= rule.as_u64()),
            // The one pattern that there is.
            "pattern" => value.as_str().is_none_or(|id| crate::calls::ids::UserId::new(id).is_ok()),
            // These look at what the others have looked at: below.
            "additionalProperties" | "unevaluatedProperties" | "description" => true,
            "$schema" | "$id" | "title" => true,
            unknown => return Err(format!("the checker doesn't know the keyword {unknown}")),
        };
        if !holds {
            return Err(format!("{keyword} {rule} doesn't hold"));
        }
    }
    let is_closed = |keyword| keywords.get(keyword) == Some(&Value::Bool(false));
    if is_closed("additionalProperties") || is_closed("unevaluatedProperties") {
        let all = value.as_object().map(Map::keys).into_iter().flatten();
        if let Some(unknown) = all.into_iter().find(|key| !evaluated.contains(*key)) {
            return Err(format!("{unknown} isn't known"));
        }
    }
    Ok(evaluated)
}

fn one_of(root: &Value, rule: &Value, value: &Value) -> Checked {
    let branches = rule.as_array().ok_or("oneOf is a list")?;
    let mut fitting: Vec<Evaluated> =
        branches.iter().filter_map(|branch| apply(root, branch, value).ok()).collect();
    match (fitting.pop(), fitting.is_empty()) {
        (Some(evaluated), true) => Ok(evaluated),
        (Some(_), false) => Err("more than one of oneOf fits".to_owned()),
        (None, _) => Err("none of oneOf fits".to_owned()),
    }
}

fn properties(root: &Value, rule: &Value, value: &Value) -> Checked {
    let (Some(rules), Some(fields)) = (rule.as_object(), value.as_object()) else {
        return Ok(Evaluated::new());
    };
    let mut seen = Evaluated::new();
    for (name, schema) in rules {
        if let Some(field) = fields.get(name) {
            apply(root, schema, field).map_err(|why| format!("{name}: {why}"))?;
            seen.insert(name.clone());
        }
    }
    Ok(seen)
}

fn items(root: &Value, rule: &Value, value: &Value) -> Result<bool, String> {
    for item in value.as_array().into_iter().flatten() {
        apply(root, rule, item)?;
    }
    Ok(true)
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}
