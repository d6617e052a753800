//! What several fuzz targets share: the same rules once more, by another hand, as plainly as they can be written.
//!
//! | room | subject |
//! |---|---|
//! | [`naive`] | config.json: which keys are ambiguous, what reaches others, what a rewriting may change |
//! | [`go`] | a command line as the Go runtimes parse it |
//! | [`engine`] | a Docker state directory with a real overlay, and what of it the bytes change |
//! | [`sober`] | what is asked of every error |

pub mod engine;
pub mod go;
pub mod naive;

use cofferdam_model::Problem;

/// The longest error that people have to read, in characters.
const LONGEST: usize = 2000;

/// An error ends in logs and on terminals: it is short, and nothing in it moves a cursor.
///
/// # Panics
/// Where it is not so.
pub fn sober(problem: &Problem) {
    let text = problem.to_string();
    assert!(
        text.chars().count() <= LONGEST,
        "{} characters",
        text.chars().count()
    );
    let deceives = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.chars().any(deceives), "{text:?}");
}

/// The error of what must not be, or what came of it.
///
/// # Panics
/// As [`sober`].
pub fn soberly<T>(result: cofferdam_model::Result<T>) -> Option<T> {
    if let Err(problem) = &result {
        sober(problem);
    }
    result.ok()
}
