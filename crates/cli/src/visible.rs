//! Makes the invisible visible: text from containers and images must not be able to move the cursor,
//! recolour, reorder or hide what a terminal shows.

/// Whether a character does something else than show itself: controls (C0, DEL, C1), line and
/// paragraph separators, and the format characters that reorder, join, hide or tag text.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text on one line, with every deceiving character written as an escape.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            match c {
                _ if !deceives(c) => shown.push(c),
                '\n' | '\r' | '\t' => shown.extend(c.escape_default()),
                _ => shown.extend(c.escape_unicode()),
            }
            shown
        })
}

/// JSON with the same meaning, in which every deceiving character is written as an escape of JSON's
/// own. Outside its strings JSON has none but the line feeds of its layout.
pub(crate) fn visible_json(json: &str) -> String {
    json.chars()
        .fold(String::with_capacity(json.len()), |mut shown, c| {
            if c == '\n' || !deceives(c) {
                shown.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    shown.push_str(&format!("\\u{unit:04x}"));
                }
            }
            shown
        })
}

/// An argv as one piece of text from which each argument can be told: a JSON list.
pub(crate) fn argv(arguments: &[String]) -> String {
    let quoted = arguments
        .iter()
        .map(|argument| serde_json::Value::from(argument.as_str()).to_string());
    format!("[{}]", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_cannot_be_steered() {
        for hostile in [
            "\u{1b}[2J",
            "a\rb",
            "a\u{8}",
            "\u{9b}31m",
            "\u{202e}sh",
            "\u{2066}",
            "a\u{200b}b",
            "\u{7f}",
            "\u{e0041}",
            "a\nb",
        ] {
            let shown = visible(hostile);
            assert!(!shown.chars().any(deceives), "{shown:?} still deceives");
            assert!(shown.contains('\\'), "{hostile:?} was dropped instead of shown");
        }
        assert_eq!(visible("\u{1b}[2J"), "\\u{1b}[2J");
        assert_eq!(visible("größe/データ"), "größe/データ");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"argv": ["\u{202e}\u{7f}\u{e0041}\n", "größe"]});
        let shown = visible_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.chars().any(|c| c != '\n' && deceives(c)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn arguments_can_be_told_apart() {
        let one = argv(&["a\",\"b".to_owned()]);
        let two = argv(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(two, r#"["a","b"]"#);
        assert_ne!(one, two);
    }
}
