//! As much of JSON Schema as our schemas use: type, enum, const, properties, required, items, $ref and oneOf. Every object is
//! closed: a field that the schema does not name is an error.

use serde_json::Value;

/// Where a value is not what the schema says.
pub(crate) fn violation(schema: &Value, value: &Value) -> Option<String> {
    check(schema, schema, value, "$")
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.strip_prefix('#').expect("references stay within the file");
        return check(root, root.pointer(pointer).expect("the definition is there"), value, at);
    }
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let fits = choices.iter().filter(|choice| check(root, choice, value, at).is_none()).count();
        return (fits != 1).then(|| format!("{at} fits {fits} of the choices: {value}"));
    }
    if let Some(constant) = schema.get("const") {
        return (constant != value).then(|| format!("{at} is {value}, not {constant}"));
    }
    let types = match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        other => panic!("{at}: a schema needs a type, this has {other}"),
    };
    let actual = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.iter().any(|name| *name == actual || (*name == "number" && actual == "integer")) {
        return Some(format!("{at} is {actual}, not one of {types:?}"));
    }
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| check(root, &schema["items"], item, &format!("{at}[{index}]"))),
        Value::Object(fields) => {
            let properties = schema["properties"].as_object().expect("an object's properties are listed");
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required
                .filter(|name| !fields.contains_key(*name))
                .map(|name| format!("{at}.{name} is missing"));
            let wrong = fields.iter().filter_map(|(name, field)| match properties.get(name) {
                Some(property) => check(root, property, field, &format!("{at}.{name}")),
                None => Some(format!("{at}.{name} is not in the schema")),
            });
            missing.chain(wrong).next()
        }
        _ => None,
    }
}
