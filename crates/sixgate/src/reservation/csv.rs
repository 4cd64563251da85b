//! Comma-separated values (RFC 4180), a line at a time. Fields in quotes may hold commas, and quotes that are doubled.

/// A field, and the column in which it begins, counted from 1 in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    pub(super) column: usize,
}

/// The fields of a line; or in which column a quote stands that should not, or is not closed.
pub(super) fn fields(line: &str) -> Result<Vec<Field>, usize> {
    let mut fields = Vec::new();
    let mut characters = line.chars().zip(1..).peekable();
    let mut next_column = 1;
    loop {
        let mut field = Field { text: String::new(), column: next_column };
        let mut comma = None;
        if let Some((_, open)) = characters.next_if(|(character, _)| *character == '"') {
            loop {
                match characters.next() {
                    None => return Err(open),
                    Some(('"', _)) if characters.next_if(|(next, _)| *next == '"').is_some() => {
                        field.text.push('"');
                    }
                    Some(('"', _)) => break,
                    Some((character, _)) => field.text.push(character),
                }
            }
            match characters.next() {
                None => {}
                Some((',', at)) => comma = Some(at),
                Some((_, at)) => return Err(at),
            }
        } else {
            for (character, at) in characters.by_ref() {
                match character {
                    ',' => {
                        comma = Some(at);
                        break;
                    }
                    '"' => return Err(at),
                    _ => field.text.push(character),
                }
            }
            field = Field { text: field.text.trim().to_owned(), ..field };
        }
        fields.push(field);
        match comma {
            Some(at) => next_column = at + 1,
            None => return Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_apart() {
        let texts =
            |line| fields(line).map(|all| all.into_iter().map(|f| (f.text, f.column)).collect::<Vec<_>>());
        let expect = |list: &[(&str, usize)]| Ok(list.iter().map(|(t, c)| ((*t).to_owned(), *c)).collect());
        assert_eq!(texts(""), expect(&[("", 1)]));
        assert_eq!(texts("a, b ,"), expect(&[("a", 1), ("b", 3), ("", 7)]));
        assert_eq!(texts("\"a,\"\"b\"\"\",c"), expect(&[("a,\"b\"", 1), ("c", 11)]));
        assert_eq!(texts("é,x"), expect(&[("é", 1), ("x", 3)]));
        assert_eq!(texts("a\"b"), Err(2));
        assert_eq!(texts("a,\"b"), Err(3));
        assert_eq!(texts("\"a\"b"), Err(4));
    }
}
