//! Values held against types.

use super::{Node, Shape, Wrong};
use candid::types::internal::find_type;
use candid::types::value::{IDLField, IDLValue, VariantValue};
use candid::types::{Field, Label, Type, TypeInner};
use std::str::FromStr;

/// A value by what stands there.
pub(super) fn untyped(node: &Node) -> Result<IDLValue, Wrong> {
    Ok(match &node.shape {
        Shape::Typed(inner, kind) => typed(inner, &named(node, kind)?)?,
        Shape::Null => IDLValue::Null,
        Shape::Bool(value) => IDLValue::Bool(*value),
        Shape::Text(text) => IDLValue::Text(text.clone()),
        Shape::Number(number) if number.contains(['.', 'e', 'E']) => typed(node, &TypeInner::Float64.into())?,
        Shape::Number(_) => typed(node, &TypeInner::Int.into())?,
        Shape::Blob(bytes) => IDLValue::Blob(bytes.clone()),
        Shape::Principal(id) => IDLValue::Principal(*id),
        Shape::Opt(inner) => IDLValue::Opt(Box::new(untyped(inner)?)),
        Shape::Vec(items) => IDLValue::Vec(items.iter().map(untyped).collect::<Result<_, _>>()?),
        Shape::Record(fields) => {
            let field = |(label, value): &(Label, Node)| -> Result<IDLField, Wrong> {
                Ok(IDLField { id: label.clone(), val: untyped(value)? })
            };
            IDLValue::Record(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        Shape::Variant(label, value) => variant(label, untyped(value)?, 0),
    })
}

fn variant(label: &Label, val: IDLValue, index: u64) -> IDLValue {
    IDLValue::Variant(VariantValue(Box::new(IDLField { id: label.clone(), val }), index))
}

/// A value as what is expected.
pub(super) fn typed(node: &Node, expected: &Type) -> Result<IDLValue, Wrong> {
    let expected = match expected.as_ref() {
        TypeInner::Knot(id) => find_type(id).ok_or_else(|| node.wrong("a type is not known"))?,
        _ => expected.clone(),
    };
    Ok(match (&node.shape, expected.as_ref()) {
        (_, TypeInner::Reserved) => IDLValue::Reserved,
        (Shape::Typed(inner, kind), _) => {
            let annotated = named(node, kind)?;
            if annotated != expected && !matches!(expected.as_ref(), TypeInner::Opt(_)) {
                return Err(node.is_not(&expected));
            }
            typed(inner, &expected)?
        }
        (Shape::Null, TypeInner::Null) => IDLValue::Null,
        (Shape::Null, TypeInner::Opt(_)) => IDLValue::None,
        (Shape::Opt(inner), TypeInner::Opt(kind)) => IDLValue::Opt(Box::new(typed(inner, kind)?)),
        (_, TypeInner::Opt(_)) => {
            let what = format!("{expected} is expected: write `opt` before the value, or null");
            return Err(node.wrong(what));
        }
        (Shape::Bool(value), TypeInner::Bool) => IDLValue::Bool(*value),
        (Shape::Text(text), TypeInner::Text) => IDLValue::Text(text.clone()),
        (Shape::Principal(id), TypeInner::Principal) => IDLValue::Principal(*id),
        (Shape::Blob(bytes), TypeInner::Vec(kind)) if matches!(kind.as_ref(), TypeInner::Nat8) => {
            IDLValue::Blob(bytes.clone())
        }
        (Shape::Vec(items), TypeInner::Vec(kind)) => {
            IDLValue::Vec(items.iter().map(|item| typed(item, kind)).collect::<Result<_, _>>()?)
        }
        (Shape::Record(fields), TypeInner::Record(known)) => IDLValue::Record(record(node, fields, known)?),
        (Shape::Variant(label, value), TypeInner::Variant(known)) => {
            let found = known.iter().enumerate().find(|(_, field)| *field.id == *label);
            let Some((index, field)) = found else { return Err(unknown(node, "case", label, known)) };
            variant(&field.id, typed(value, &field.ty)?, index as u64)
        }
        (Shape::Number(number), kind) => numeric(node, number, kind).ok_or_else(|| {
            node.wrong(format!("{number} is no {expected}: it is too large, negative, or a fraction"))
        })??,
        _ => return Err(node.is_not(&expected)),
    })
}

fn record(node: &Node, fields: &[(Label, Node)], known: &[Field]) -> Result<Vec<IDLField>, Wrong> {
    if let Some((label, value)) =
        fields.iter().find(|(label, _)| !known.iter().any(|field| *field.id == *label))
    {
        return Err(unknown(value, "field", label, known));
    }
    let mut all = Vec::with_capacity(known.len());
    for field in known {
        let id = field.id.as_ref().clone();
        let val = match (fields.iter().find(|(label, _)| *label == id), field.ty.as_ref()) {
            (Some((_, value)), _) => typed(value, &field.ty)
                .map_err(|Wrong { line, what }| Wrong { line, what: within(&id, what) })?,
            (None, TypeInner::Opt(_)) => IDLValue::None,
            (None, TypeInner::Null) => IDLValue::Null,
            (None, TypeInner::Reserved) => IDLValue::Reserved,
            (None, _) => return Err(node.wrong(format!("the field {id} is missing"))),
        };
        all.push(IDLField { id, val });
    }
    Ok(all)
}

/// An error with the way to it: `plan.strategy: …`.
fn within(field: &Label, what: String) -> String {
    let is_path =
        |path: &str| !path.is_empty() && path.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
    match what.split_once(": ") {
        Some((path, _)) if is_path(path) => format!("{field}.{what}"),
        _ => format!("{field}: {what}"),
    }
}

fn unknown(node: &Node, what: &str, label: &Label, known: &[Field]) -> Wrong {
    let names: Vec<String> = known.iter().map(|field| field.id.to_string()).collect();
    node.wrong(format!("there is no {what} {label} here, but {}", names.join(", ")))
}

/// A number of that type; none if it can't be one.
fn numeric(node: &Node, number: &str, kind: &TypeInner) -> Option<Result<IDLValue, Wrong>> {
    fn of<T: FromStr>(number: &str, value: impl Fn(T) -> IDLValue) -> Option<Result<IDLValue, Wrong>> {
        number.parse().ok().map(|number| Ok(value(number)))
    }
    match kind {
        TypeInner::Nat => of(number, IDLValue::Nat),
        TypeInner::Int => of(number, IDLValue::Int),
        TypeInner::Nat8 => of(number, IDLValue::Nat8),
        TypeInner::Nat16 => of(number, IDLValue::Nat16),
        TypeInner::Nat32 => of(number, IDLValue::Nat32),
        TypeInner::Nat64 => of(number, IDLValue::Nat64),
        TypeInner::Int8 => of(number, IDLValue::Int8),
        TypeInner::Int16 => of(number, IDLValue::Int16),
        TypeInner::Int32 => of(number, IDLValue::Int32),
        TypeInner::Int64 => of(number, IDLValue::Int64),
        TypeInner::Float32 => of(number, IDLValue::Float32),
        TypeInner::Float64 => of(number, IDLValue::Float64),
        other => Some(Err(node.is_not(&Type::from(other.clone())))),
    }
}

/// The type that an annotation names. Others than these are never needed: what is built of them tells it.
fn named(node: &Node, kind: &str) -> Result<Type, Wrong> {
    Ok(match kind {
        "nat" => TypeInner::Nat,
        "int" => TypeInner::Int,
        "nat8" => TypeInner::Nat8,
        "nat16" => TypeInner::Nat16,
        "nat32" => TypeInner::Nat32,
        "nat64" => TypeInner::Nat64,
        "int8" => TypeInner::Int8,
        "int16" => TypeInner::Int16,
        "int32" => TypeInner::Int32,
        "int64" => TypeInner::Int64,
        "float32" => TypeInner::Float32,
        "float64" => TypeInner::Float64,
        "bool" => TypeInner::Bool,
        "text" => TypeInner::Text,
        "null" => TypeInner::Null,
        "principal" => TypeInner::Principal,
        "reserved" => TypeInner::Reserved,
        other => {
            return Err(node.wrong(format!(
                "{other:?} is no type of a number, bool, text or principal, and no other is taken here"
            )));
        }
    }
    .into())
}
