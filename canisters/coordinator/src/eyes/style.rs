//! How the page looks. Its policy names this text by its digest, so that no other style is taken.

use sha2::{Digest, Sha256};

/// The style sheet.
pub(super) const TEXT: &str = include_str!("style.css");

/// As a content security policy names it.
pub(super) fn source() -> String {
    format!("sha256-{}", base64(&Sha256::digest(TEXT)))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |position: usize| u32::from(group.get(position).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * position) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if position <= group.len() { letter.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    /// RFC 4648, section 10.
    #[test]
    fn bytes_are_written_in_base_64() {
        let cases =
            [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
