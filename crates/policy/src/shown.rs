//! Text from outside, as it is shown: quoted, escaped, cut.
//!
//! What a container is called or runs is chosen by whoever starts it, and its messages end on an operator's
//! terminal. So everything beyond printable ASCII is escaped: control characters, bidirectional marks, and
//! letters that look like others.

use std::fmt::Write as _;

/// The longest text or list that is shown, in characters.
const LONGEST: usize = 120;

/// One text: as it is when it is short and nothing in it can be misread, otherwise as a JSON string, in either
/// case at most [`LONGEST`] characters.
pub(crate) fn text(text: &str) -> String {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"_-:/.".contains(&b);
    if !text.is_empty() && text.len() <= LONGEST && text.bytes().all(harmless) {
        return text.to_owned();
    }
    quoted(text)
}

/// One text as a JSON string of at most [`LONGEST`] characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    push_quoted(&mut out, text, LONGEST);
    out
}

/// A list of texts, as a JSON array of at most [`LONGEST`] characters.
pub(crate) fn list(texts: &[String]) -> String {
    let mut out = String::from("[");
    for (index, text) in texts.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Room for the comma, an empty string, and what the next round may add.
        if out.len() + comma.len() + 2 > LONGEST - 3 {
            out.push_str(comma);
            out.push('…');
            break;
        }
        out.push_str(comma);
        if !push_quoted(&mut out, text, LONGEST - 3) {
            break;
        }
    }
    out.push(']');
    out
}

/// Appends `text` in quotes, so that `out` has at most `longest` characters; says whether all of it fitted.
fn push_quoted(out: &mut String, text: &str, longest: usize) -> bool {
    out.push('"');
    for character in text.chars() {
        let piece = escaped(character);
        // Room for the mark of the cut and the closing quote.
        if out.len() + piece.len() + 2 > longest {
            out.push_str("…\"");
            return false;
        }
        out.push_str(&piece);
    }
    out.push('"');
    true
}

/// One character, as JSON writes it.
fn escaped(character: char) -> String {
    match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        ' '..='~' => character.to_string(),
        _ => {
            let mut out = String::new();
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn terminals_are_not_fooled() {
        assert_eq!(text("/etc/evil"), "/etc/evil");
        assert_eq!(text("/etc/evil is fine"), r#""/etc/evil is fine""#);
        assert_eq!(text(""), r#""""#);
        assert_eq!(text("\u{1b}[2Jok"), r#""\u001b[2Jok""#);
        assert_eq!(text("a\u{202e}b"), r#""a\u202eb""#);
        assert_eq!(text("p\u{0430}y"), r#""p\u0430y""#);
        assert_eq!(text("\u{1f600}"), r#""\ud83d\ude00""#);
    }

    proptest! {
        #[test]
        fn lists_are_short_and_printable(texts: Vec<String>) {
            let shown = list(&texts);
            prop_assert!(shown.chars().count() <= LONGEST, "{} characters", shown.chars().count());
            prop_assert!(shown.chars().all(|c| matches!(c, ' '..='~' | '…')));
        }

        #[test]
        fn what_fits_is_json(texts in proptest::collection::vec("\\PC{0,4}", 0..3)) {
            let shown = list(&texts);
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), texts);
        }

        #[test]
        fn texts_are_short(long in "[a-z\u{0}\u{202e}]{100,400}") {
            prop_assert!(text(&long).chars().count() <= LONGEST);
        }
    }
}
