//! Candid text as it stands in `scripts/proposals/plans`, read into JSON that serde turns into a value.
//!
//! Only what the examples need of the grammar: `record`, `vec`, `variant`, `opt`, `blob`, `principal`, text without
//! escapes, numbers, and comments. Anything else panics with the rest of the text.

use serde_json::{Map, Value};

/// The one value in parentheses that a text holds.
pub fn parse(text: &str) -> Value {
    let mut values = parse_all(text);
    assert_eq!(values.len(), 1, "one value is expected: {text}");
    values.remove(0)
}

/// The values in parentheses that a text holds.
pub fn parse_all(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let text: String = lines.collect::<Vec<_>>().join("\n");
    let mut reader = Reader { rest: text.trim() };
    reader.expect("(");
    let mut values = Vec::new();
    while !reader.take(")") {
        values.push(reader.value());
        assert!(reader.take(",") || reader.rest.starts_with(')'), "a value ends at {:?}", reader.rest);
    }
    assert_eq!(reader.rest, "", "something follows the values");
    values
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest).trim_start();
        rest.is_some()
    }

    fn expect(&mut self, token: &str) {
        assert!(self.take(token), "{token:?} is expected at {:?}", self.rest);
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn quoted(&mut self) -> &'a str {
        self.expect("\"");
        let (inside, rest) = self.rest.split_once('"').expect("a text ends");
        self.rest = rest.trim_start();
        inside
    }

    fn value(&mut self) -> Value {
        if self.rest.starts_with('"') {
            let text = self.quoted();
            assert!(!text.contains('\\'), "escapes are not read: {text:?}");
            return text.into();
        }
        match self.word() {
            "record" => Value::Object(self.fields()),
            "variant" => {
                self.expect("{");
                let name = self.word();
                let case = match self.take("=") {
                    true => Value::Object(Map::from_iter([(name.to_owned(), self.value())])),
                    false => name.into(),
                };
                self.expect("}");
                case
            }
            "vec" => {
                self.expect("{");
                let mut items = Vec::new();
                while !self.take("}") {
                    items.push(self.value());
                    assert!(self.take(";") || self.rest.starts_with('}'), "an item ends at {:?}", self.rest);
                }
                items.into()
            }
            "opt" => self.value(),
            "blob" => blob(self.quoted()).into(),
            "principal" => self.quoted().into(),
            "null" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            number => {
                let number = number.replace('_', "").parse::<u64>().unwrap_or_else(|_| panic!("{number:?}"));
                // A type may follow.
                if self.take(":") {
                    let kind = self.word();
                    assert!(
                        ["nat64", "nat32", "nat16", "nat"].contains(&kind),
                        "{kind} is no type of a number here"
                    );
                }
                number.into()
            }
        }
    }

    fn fields(&mut self) -> Map<String, Value> {
        let mut fields = Map::new();
        self.expect("{");
        while !self.take("}") {
            let name = self.word();
            self.expect("=");
            let value = self.value();
            assert!(fields.insert(name.to_owned(), value).is_none(), "{name} is there twice");
            assert!(self.take(";") || self.rest.starts_with('}'), "a field ends at {:?}", self.rest);
        }
        fields
    }
}

fn blob(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (byte, length) = match first {
            '\\' => (u8::from_str_radix(&rest[1..3], 16).expect("two digits follow a backslash"), 3),
            plain => (u8::try_from(plain).expect("ASCII"), 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}
