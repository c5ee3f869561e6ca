//! The grammar of values (Candid specification, "Textual format").

use super::{Node, Shape, Wrong};
use candid::Principal;
use candid::types::Label;

/// Values inside of values, at most: more than anybody writes, and less than the stack holds.
const DEPTH: usize = 100;

pub(super) fn arguments(text: &str) -> Result<Vec<Node>, Wrong> {
    let mut reader = Reader { rest: text, line: 1, depth: 0 };
    reader.skip()?;
    reader.expect("(")?;
    let values = reader.list(")", ",", Reader::annotated)?;
    match reader.rest {
        "" => Ok(values),
        _ => Err(reader.wrong("something follows the closing parenthesis")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: impl Into<String>) -> Wrong {
        Wrong { line: self.line, what: what.into() }
    }

    /// What stands next, for an error.
    fn here(&self) -> String {
        match self.rest.split_whitespace().next() {
            Some(word) => format!("at {:?}", word.chars().take(24).collect::<String>()),
            None => "at the end".to_owned(),
        }
    }

    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Spaces and comments.
    fn skip(&mut self) -> Result<(), Wrong> {
        loop {
            let spaces = self.rest.len() - self.rest.trim_start().len();
            self.advance(spaces);
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if self.rest.starts_with("/*") {
                let end = self.rest.find("*/").ok_or_else(|| self.wrong("a comment does not end"))?;
                self.advance(end + 2);
            } else {
                return Ok(());
            }
        }
    }

    fn take(&mut self, token: &str) -> Result<bool, Wrong> {
        if !self.rest.starts_with(token) {
            return Ok(false);
        }
        self.advance(token.len());
        self.skip()?;
        Ok(true)
    }

    fn expect(&mut self, token: &str) -> Result<(), Wrong> {
        match self.take(token)? {
            true => Ok(()),
            false => Err(self.wrong(format!("{token:?} is missing {}", self.here()))),
        }
    }

    /// Items up to a closing sign.
    fn list<T>(
        &mut self,
        close: &str,
        between: &str,
        item: impl Fn(&mut Self) -> Result<T, Wrong>,
    ) -> Result<Vec<T>, Wrong> {
        let mut items = Vec::new();
        while !self.take(close)? {
            items.push(item(self)?);
            if !self.take(between)? && !self.rest.starts_with(close) {
                return Err(self.wrong(format!("{between:?} or {close:?} is missing {}", self.here())));
            }
        }
        Ok(items)
    }

    fn word(&mut self) -> Result<&'a str, Wrong> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let word = self.advance(end);
        self.skip()?;
        Ok(word)
    }

    /// A value, and its type if that stands behind it.
    fn annotated(&mut self) -> Result<Node, Wrong> {
        let value = self.value()?;
        if !self.take(":")? {
            return Ok(value);
        }
        let line = self.line;
        let kind = self.word()?.to_owned();
        Ok(Node { line, shape: Shape::Typed(Box::new(value), kind) })
    }

    fn value(&mut self) -> Result<Node, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong(format!("values are in values {DEPTH} times over")));
        }
        let line = self.line;
        let shape = self.shape()?;
        self.depth -= 1;
        Ok(Node { line, shape })
    }

    fn shape(&mut self) -> Result<Shape, Wrong> {
        match self.rest.chars().next() {
            Some('"') => return Ok(Shape::Text(self.text()?)),
            Some('(') => {
                self.expect("(")?;
                let inner = self.annotated()?;
                self.expect(")")?;
                return Ok(inner.shape);
            }
            Some('0'..='9' | '-' | '+') => return self.number(),
            _ => {}
        }
        let here = self.here();
        Ok(match self.word()? {
            "null" => Shape::Null,
            "true" => Shape::Bool(true),
            "false" => Shape::Bool(false),
            "opt" => Shape::Opt(Box::new(self.value()?)),
            "blob" => Shape::Blob(self.bytes()?),
            "principal" => {
                let text = self.text()?;
                let id = Principal::from_text(&text);
                Shape::Principal(
                    id.map_err(|error| self.wrong(format!("{text:?} is no principal: {error}")))?,
                )
            }
            "vec" => {
                self.expect("{")?;
                Shape::Vec(self.list("}", ";", Self::annotated)?)
            }
            "record" => self.record()?,
            "variant" => {
                self.expect("{")?;
                let label = self.label()?;
                let value = match self.take("=")? {
                    true => self.annotated()?,
                    false => Node { line: self.line, shape: Shape::Null },
                };
                self.take(";")?;
                self.expect("}")?;
                Shape::Variant(label, Box::new(value))
            }
            _ => return Err(self.wrong(format!("no value begins {here}"))),
        })
    }

    fn record(&mut self) -> Result<Shape, Wrong> {
        self.expect("{")?;
        let mut fields: Vec<(Label, Node)> = Vec::new();
        while !self.take("}")? {
            let line = self.line;
            let (label, value) = self.field(fields.len() as u32)?;
            if fields.iter().any(|(earlier, _)| *earlier == label) {
                return Err(Wrong { line, what: format!("{label} is there twice") });
            }
            fields.push((label, value));
            if !self.take(";")? && !self.rest.starts_with('}') {
                return Err(self.wrong(format!("\";\" or \"}}\" is missing {}", self.here())));
            }
        }
        fields.sort_by_key(|(label, _)| label.get_id());
        Ok(Shape::Record(fields))
    }

    /// A field with its name or number, or one of a tuple.
    fn field(&mut self, position: u32) -> Result<(Label, Node), Wrong> {
        let (rest, line) = (self.rest, self.line);
        let label = self.label();
        if let Ok(label) = label
            && self.take("=")?
        {
            return Ok((label, self.annotated()?));
        }
        (self.rest, self.line) = (rest, line);
        Ok((Label::Unnamed(position), self.annotated()?))
    }

    fn label(&mut self) -> Result<Label, Wrong> {
        if self.rest.starts_with('"') {
            return Ok(Label::Named(self.text()?));
        }
        let word = self.word()?;
        match word.chars().next() {
            Some('0'..='9') => match word.replace('_', "").parse() {
                Ok(number) => Ok(Label::Id(number)),
                Err(_) => Err(self.wrong(format!("{word} is no number of a field"))),
            },
            Some(_) => Ok(Label::Named(word.to_owned())),
            None => Err(self.wrong(format!("a name is missing {}", self.here()))),
        }
    }

    fn number(&mut self) -> Result<Shape, Wrong> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let written = self.advance(end);
        self.skip()?;
        let (sign, digits) = match written.strip_prefix(['-', '+']) {
            Some(digits) => (if written.starts_with('-') { "-" } else { "" }, digits),
            None => ("", written),
        };
        let digits = digits.replace('_', "");
        let number = match digits.strip_prefix("0x") {
            Some(hexadecimal) => u128::from_str_radix(hexadecimal, 16).map(|number| number.to_string()).ok(),
            None => digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| digits.clone()),
        };
        match number {
            Some(number) => Ok(Shape::Number(format!("{sign}{number}"))),
            None => Err(self.wrong(format!("{written} is no number"))),
        }
    }

    fn text(&mut self) -> Result<String, Wrong> {
        let line = self.line;
        let wrong = |what: &str| Wrong { line, what: what.to_owned() };
        String::from_utf8(self.bytes()?).map_err(|_| wrong("a text is no UTF-8"))
    }

    /// What stands in quotes, byte by byte.
    fn bytes(&mut self) -> Result<Vec<u8>, Wrong> {
        let line = self.line;
        let wrong = |what: String| Wrong { line, what };
        let Some(inside) = self.rest.strip_prefix('"') else {
            return Err(self.wrong(format!("a quotation mark is missing {}", self.here())));
        };
        let mut bytes = Vec::new();
        let mut letters = inside.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.advance(at + 2);
                    self.skip()?;
                    return Ok(bytes);
                }
                '\\' => {
                    let escape = &inside[at + 1..];
                    let (byte, length) = escaped(escape).ok_or_else(|| {
                        wrong(format!("\\{} is no escape", escape.chars().next().unwrap_or(' ')))
                    })?;
                    bytes.extend(byte);
                    for _ in 0..length {
                        letters.next();
                    }
                }
                plain => bytes.extend(plain.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
        Err(wrong("what begins with a quotation mark does not end".to_owned()))
    }
}

/// What stands for the letters behind a backslash, and how many these are.
fn escaped(text: &str) -> Option<(Vec<u8>, usize)> {
    let simple = |byte: u8| Some((vec![byte], 1));
    match text.chars().next()? {
        'n' => simple(b'\n'),
        'r' => simple(b'\r'),
        't' => simple(b'\t'),
        '\\' => simple(b'\\'),
        '"' => simple(b'"'),
        '\'' => simple(b'\''),
        'u' => {
            let (digits, _) = text.strip_prefix("u{")?.split_once('}')?;
            let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
            Some((letter.to_string().into_bytes(), digits.len() + 3))
        }
        _ => Some((vec![u8::from_str_radix(text.get(..2)?, 16).ok()?], 2)),
    }
}
