//! As much Candid as a tombstone needs, by hand: the `candid` crate would make it ten times as large.
//!
//! A value is written with the type that it has, which is a subtype of the declared one: variants have one
//! tag, what is optional is left out. What is read is a record of plain fields, as every client writes it.
//! Source: the Candid specification, "Binary format"; the tests compare with the `candid` crate.

use candid::Principal;

/// Codes of types (Candid specification, "Types").
const NULL: i64 = -1;
const BOOL: i64 = -2;
const NAT: i64 = -3;
const NAT32: i64 = -7;
const NAT64: i64 = -8;
const TEXT: i64 = -15;
const RECORD: i64 = -20;
const VARIANT: i64 = -21;
const PRINCIPAL: i64 = -24;

/// Bytes of a principal at most (interface specification, "Principals").
const PRINCIPAL_BYTES: usize = 29;
/// Fields of an argument at most: more than there are.
const FIELDS: u64 = 16;

/// A value.
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Nat(u128),
    Nat32(u32),
    Nat64(u64),
    Text(&'a str),
    Principal(Principal),
    Record(Vec<(&'static str, Value<'a>)>),
    Variant(&'static str, Box<Value<'a>>),
}

/// A field of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Nat(u128),
    Principal(Principal),
}

/// One value as a message.
pub(crate) fn encode(value: &Value<'_>) -> Vec<u8> {
    let (mut types, mut content) = (Vec::new(), Vec::new());
    let kind = write(value, &mut types, &mut content);
    let mut message = b"DIDL".to_vec();
    leb(types.len() as u128, &mut message);
    types.iter().for_each(|definition| message.extend(definition));
    leb(1, &mut message);
    sleb(kind, &mut message);
    message.extend(content);
    message
}

/// The record that is the only argument of a message: ids of its fields and what they hold.
///
/// # Errors
/// What is not such a record; the message says so.
pub(crate) fn decode(message: &[u8]) -> Result<Vec<(u32, Field)>, &'static str> {
    let mut reader = Reader(message.strip_prefix(b"DIDL").ok_or("the argument is not Candid")?);
    if reader.leb()? != 1 || reader.sleb()? != RECORD {
        return Err("the argument is not a plain record");
    }
    let count =
        u64::try_from(reader.leb()?).ok().filter(|&count| count <= FIELDS).ok_or("too many fields")?;
    let mut kinds = Vec::new();
    for _ in 0..count {
        let id = u32::try_from(reader.leb()?).map_err(|_| "a field id has 32 bits")?;
        kinds.push((id, reader.sleb()?));
    }
    if reader.leb()? != 1 || reader.sleb()? != 0 {
        return Err("there must be one argument, the record");
    }
    kinds.into_iter().map(|(id, kind)| Ok((id, reader.field(kind)?))).collect()
}

/// The id of a field name (Candid specification, "Shorthand: Symbolic Field Ids").
pub(crate) fn field_id(name: &str) -> u32 {
    name.bytes().fold(0, |id: u32, byte| id.wrapping_mul(223).wrapping_add(u32::from(byte)))
}

/// Writes a value; adds the types it needs, and answers its own.
fn write(value: &Value<'_>, types: &mut Vec<Vec<u8>>, content: &mut Vec<u8>) -> i64 {
    match value {
        Value::Null => NULL,
        Value::Bool(bool) => {
            content.push(u8::from(*bool));
            BOOL
        }
        Value::Nat(number) => {
            leb(*number, content);
            NAT
        }
        Value::Nat32(number) => {
            content.extend(number.to_le_bytes());
            NAT32
        }
        Value::Nat64(number) => {
            content.extend(number.to_le_bytes());
            NAT64
        }
        Value::Text(text) => {
            leb(text.len() as u128, content);
            content.extend(text.as_bytes());
            TEXT
        }
        Value::Principal(principal) => {
            content.push(1);
            leb(principal.as_slice().len() as u128, content);
            content.extend(principal.as_slice());
            PRINCIPAL
        }
        Value::Record(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(name, value)| (field_id(name), value)).collect();
            fields.sort_unstable_by_key(|(id, _)| *id);
            let kinds = fields.into_iter().map(|(id, value)| (id, write(value, types, content))).collect();
            define(RECORD, kinds, types)
        }
        Value::Variant(name, value) => {
            // The only tag is the first.
            leb(0, content);
            let kind = write(value, types, content);
            define(VARIANT, vec![(field_id(name), kind)], types)
        }
    }
}

/// Adds a type to the table and answers its index.
fn define(code: i64, fields: Vec<(u32, i64)>, types: &mut Vec<Vec<u8>>) -> i64 {
    let mut definition = Vec::new();
    sleb(code, &mut definition);
    leb(fields.len() as u128, &mut definition);
    for (id, kind) in fields {
        leb(u128::from(id), &mut definition);
        sleb(kind, &mut definition);
    }
    types.push(definition);
    types.len() as i64 - 1
}

fn leb(mut number: u128, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn sleb(mut number: i64, bytes: &mut Vec<u8>) {
    while !(-0x40..0x40).contains(&number) {
        bytes.push(number as u8 & 0x7f | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8 & 0x7f);
}

/// Reads a message from its start.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn field(&mut self, kind: i64) -> Result<Field, &'static str> {
        match kind {
            NAT => self.leb().map(Field::Nat),
            NAT64 => {
                let bytes = self.take(size_of::<u64>())?.try_into().map_err(|_| "a nat64 has 8 bytes")?;
                Ok(Field::Nat(u128::from(u64::from_le_bytes(bytes))))
            }
            PRINCIPAL => {
                if self.byte()? != 1 {
                    return Err("a principal must not be opaque");
                }
                let length = usize::from(self.byte()?);
                match length <= PRINCIPAL_BYTES {
                    true => Ok(Field::Principal(Principal::from_slice(self.take(length)?))),
                    false => Err("a principal has 29 bytes at most"),
                }
            }
            _ => Err("the argument has a field of another type than nat, nat64 and principal"),
        }
    }

    fn leb(&mut self) -> Result<u128, &'static str> {
        let (mut number, mut shift) = (0_u128, 0);
        loop {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            if shift >= u128::BITS || (bits << shift) >> shift != bits {
                return Err("a number has more than 128 bits");
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// Types only: one byte, or the index of a type, which is not negative.
    fn sleb(&mut self) -> Result<i64, &'static str> {
        let byte = self.byte()?;
        match byte & 0x80 == 0 {
            true => Ok(i64::from((byte << 1) as i8 >> 1)),
            false => Err("the argument has a type that is not plain"),
        }
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("the argument ends too early")?;
        self.0 = rest;
        Ok(taken)
    }
}
