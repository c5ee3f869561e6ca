//! Images as text: 16 bytes a line, repeated lines as `*`, the size in bytes at the end, like `hexdump`.

use std::fmt::Write;

/// Bytes of a line.
const LINE_BYTES: usize = 16;

/// The dump of an image.
pub(crate) fn to_text(image: &[u8]) -> String {
    let mut text = String::new();
    let mut last: Option<&[u8]> = None;
    let mut squeezing = false;
    for (index, line) in image.chunks(LINE_BYTES).enumerate() {
        if last == Some(line) {
            if !squeezing {
                text.push_str("*\n");
            }
            squeezing = true;
            continue;
        }
        write!(text, "{:08x}", index * LINE_BYTES).expect("writing to a string");
        for byte in line {
            write!(text, " {byte:02x}").expect("writing to a string");
        }
        text.push('\n');
        squeezing = false;
        last = Some(line);
    }
    writeln!(text, "{:08x}", image.len()).expect("writing to a string");
    text
}

/// The image of a dump.
pub(crate) fn from_text(text: &str) -> Vec<u8> {
    let mut image: Vec<u8> = Vec::new();
    for line in text.lines().filter(|&line| line != "*") {
        let mut words = line.split(' ');
        let offset = words.next().and_then(|word| usize::from_str_radix(word, 16).ok()).expect("an offset");
        let last = image.len().saturating_sub(LINE_BYTES);
        let repeated = image[last..].to_vec();
        while image.len() < offset {
            image.extend_from_slice(&repeated);
        }
        image.extend(words.map(|word| u8::from_str_radix(word, 16).expect("a byte in hex")));
    }
    image
}
