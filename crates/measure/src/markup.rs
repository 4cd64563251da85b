//! Text of others within a page, a picture or a report.

/// The text as HTML, SVG and XML may have it, between tags and in a quoted attribute: it ends neither, begins nothing, and commands no
/// terminal on which somebody looks at the file. What XML 1.0 cannot have (section 2.2), and other control characters, are U+FFFD.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            letter if letter.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("<a b='c' d=\"e\">&amp;"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;");
        assert_eq!(escaped("a\tb\r\nc \u{e9}\u{4e2d}"), "a\tb\r\nc \u{e9}\u{4e2d}");
        for control in (0..0xa0).filter_map(char::from_u32).filter(|letter| letter.is_control()) {
            let kept = matches!(control, '\t' | '\n' | '\r');
            assert_eq!(escaped(&control.to_string()) == "\u{fffd}", !kept, "{control:?}");
        }
        assert_eq!(escaped("\u{fffe}\u{ffff}"), "\u{fffd}\u{fffd}");
    }
}
