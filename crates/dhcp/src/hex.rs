//! Octets as pairs of hexadecimal digits.

use std::fmt::Write as _;

/// Reads pairs of digits, with or without colons between them.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let pairs = |text: &str| -> Option<Vec<u8>> {
        text.as_bytes()
            .chunks(2)
            .map(|pair| match *pair {
                [high, low] => {
                    let digit = |octet: u8| char::from(octet).to_digit(16);
                    Some((digit(high)? * 16 + digit(low)?) as u8)
                }
                _ => None,
            })
            .collect()
    };
    if !text.contains(':') {
        return pairs(text);
    }
    let each = text.split(':').map(|pair| pairs(pair).filter(|octets| octets.len() == 1));
    each.map(|octets| octets?.first().copied()).collect()
}

/// Pairs of digits with colons between them.
pub fn write(octets: &[u8]) -> String {
    octets.iter().enumerate().fold(String::new(), |mut text, (at, octet)| {
        let colon = if at == 0 { "" } else { ":" };
        let _ = write!(text, "{colon}{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back() {
        for (text, octets) in [
            ("", &[][..]),
            ("0a1B", &[10, 27]),
            ("0a:1b", &[10, 27]),
            ("ff", &[255]),
            ("00:00:01", &[0, 0, 1]),
        ] {
            assert_eq!(read(text).as_deref(), Some(octets), "{text}");
            assert_eq!(read(&write(octets)).as_deref(), Some(octets));
        }
        for text in ["0", "0:1", "0a:", ":0a", "0g", "0a::1b", "0a1b:2c", "é0", "0a 1b"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
