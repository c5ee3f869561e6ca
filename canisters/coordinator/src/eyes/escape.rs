//! What others wrote, between words of ours: in HTML, in a label of Prometheus, in JSON. Nothing of it can end what it stands
//! in, hide, or turn round what follows.

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

/// Letters that are not seen, or change how others are: controls, what joins, marks or turns round, tags, and spaces that
/// look like none (Unicode, categories Cc, Cf, Zl, Zp, and those fillers that show nothing).
pub(crate) fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffc}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1345f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
