//! What an envelope may carry: a document of ours, as JSON in the one form that it has.
//!
//! The canonical form is that of `serde_json`: the fields in the order of the document's table, an optional field that
//! has no value left out, no space between tokens; in strings only `"`, `\` and control characters are escaped (`\b`,
//! `\f`, `\n`, `\r`, `\t`, the others as `\u00` and two lower-case hexadecimal digits). Times are RFC 3339 in UTC with
//! as many digits of a second as are needed. Anything else is refused, unknown and doubled fields included, so that no
//! two readers can take one document for two, and a document has one digest.

use crate::shown::shown;
use cofferdam_model::{ErrorKind, Problem, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The only format of documents so far.
pub(crate) const FORMAT: u64 = 1;

/// A kind of document.
pub trait Document: Sized {
    /// The envelope's payload type.
    const TYPE: &'static str;
    /// What people call it.
    const NAME: &'static str;
    /// The kind of problem that one is which cannot be used.
    const REFUSED: ErrorKind;
    /// Its fields, as JSON has them.
    type Record: Serialize + DeserializeOwned;
    /// What may be looked at before a signature was verified.
    type Claims;

    /// Its fields.
    fn record(&self) -> &Self::Record;

    /// The document of these fields, where they fit together.
    ///
    /// # Errors
    /// A problem of the kind [`Self::REFUSED`].
    fn of_record(record: Self::Record) -> Result<Self>;

    /// What the fields claim.
    fn claims(record: Self::Record) -> Self::Claims;
}

/// A problem with a document that cannot be used.
pub(crate) fn refused<T: Document>(message: impl Into<String>) -> Problem {
    Problem::new(T::REFUSED, message)
}

/// The problem with a next step, where it has none yet.
pub(crate) fn or_remedy(problem: Problem, remedy: impl Into<String>) -> Problem {
    match problem.remedy {
        Some(_) => problem,
        None => problem.remedy(remedy),
    }
}

/// What reading a document's JSON failed with.
pub(crate) fn unreadable<T: Document>(what: &str, error: &serde_json::Error) -> Problem {
    refused::<T>(format!("{what} cannot be read: {}", shown(&error.to_string())))
}

/// A document in its canonical form.
pub(crate) fn encode<R: Serialize>(record: &R) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|error| Problem::internal(format!("writing a document: {error}")))
}

/// Reads the fields of a document.
///
/// # Errors
/// `unavailable` where it is of another format; of the document's own kind where it is not in its canonical form.
pub(crate) fn decode<T: Document>(payload: &[u8]) -> Result<T::Record> {
    #[derive(Deserialize)]
    struct Probe {
        format: u64,
    }
    let what = format!("the {}", T::NAME);
    let wrong = |error| unreadable::<T>(&what, &error);
    let Probe { format } = serde_json::from_slice(payload).map_err(wrong)?;
    if format != FORMAT {
        return Err(Problem::unavailable(format!(
            "{what} has format {format}, and this version of Cofferdam knows only format {FORMAT}"
        ))
        .remedy("install the version that wrote it, or a newer one"));
    }
    let record: T::Record = serde_json::from_slice(payload).map_err(wrong)?;
    if encode(&record)? != payload {
        return Err(
            refused::<T>(format!("{what} is not written in its canonical form"))
                .remedy("take the file as Cofferdam wrote it: spaces and the order of fields count"),
        );
    }
    Ok(record)
}
