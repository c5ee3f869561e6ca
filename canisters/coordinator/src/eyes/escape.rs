//! What others wrote, between words of ours: in HTML, in a label of Prometheus, in JSON. Nothing of it can end what it stands
//! in, hide, or turn round what follows.

use decant_words::is_hidden;

/// In HTML, between tags and in attributes.
pub(super) fn html(text: &str) -> String {
    escaped(text, |letter| match letter {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        '\'' => Some("&#39;"),
        _ => None,
    })
}

/// In the quotes of a label.
pub(super) fn label(text: &str) -> String {
    escaped(text, |letter| match letter {
        '\\' => Some("\\\\"),
        '"' => Some("\\\""),
        '\n' => Some("\\n"),
        _ => None,
    })
}

/// With something else for some letters, and the code of each that is hidden.
fn escaped(text: &str, instead: impl Fn(char) -> Option<&'static str>) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match instead(letter) {
            Some(other) => escaped.push_str(other),
            None if is_hidden(letter) => escaped.push_str(&code(letter)),
            None => escaped.push(letter),
        }
    }
    escaped
}

/// A JSON string, quotes included.
pub(super) fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    escaped.push('"');
    for letter in text.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            letter if is_hidden(letter) => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
            letter => escaped.push(letter),
        }
    }
    escaped.push('"');
    escaped
}

fn code(letter: char) -> String {
    format!("U+{:04X}", u32::from(letter))
}
