//! Text from outside, as it is shown in messages: nothing in it can steer a terminal or be mistaken, and it is cut.

/// The longest text that is shown, in characters.
const LONGEST: usize = 160;

/// The text with everything beyond printable ASCII escaped, at most [`LONGEST`] characters and a mark where it was cut.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        let before = out.len();
        if character == ' ' || character.is_ascii_graphic() {
            out.push(character);
        } else {
            out.extend(character.escape_default());
        }
        if out.len() > LONGEST {
            out.truncate(before);
            out.push('…');
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(shown("an ordinary {text}"), "an ordinary {text}");
        assert_eq!(shown("\u{1b}[2J\u{202e}é\n"), r"\u{1b}[2J\u{202e}\u{e9}\n");
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shown(&"x".repeat(160)), "x".repeat(160));
        assert_eq!(shown(&"x".repeat(161)), "x".repeat(160) + "…");
        assert_eq!(shown(&"\u{202e}".repeat(100)).chars().count(), 160 + 1);
    }
}
