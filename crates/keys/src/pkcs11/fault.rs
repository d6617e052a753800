//! What tokens say, as a person reads it.

use cofferdam_model::Problem;
use cryptoki::context::Function;
use cryptoki::error::{Error, RvError};

/// An error of the token, with what was being done.
pub(super) fn saying(what: &str) -> impl FnOnce(Error) -> Problem {
    move |error| {
        let problem = Problem::unavailable(format!("{what}: {}", said(&error)));
        match error {
            Error::Pkcs11(RvError::MechanismInvalid | RvError::MechanismParamInvalid, _) => problem
                .remedy("use a token that has CKM_AES_GCM with nonces of 96 bits; age plugins serve others"),
            Error::Pkcs11(RvError::KeyFunctionNotPermitted, _) => {
                problem.remedy("use a key that may encrypt and decrypt (CKA_ENCRYPT, CKA_DECRYPT)")
            }
            _ => problem.remedy("see to the token (its device, its service, its log), then try again"),
        }
    }
}

/// The name of the error rather than its text: the standard's texts are paragraphs.
fn said(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{function} says {code:?}"),
        other => other.to_string(),
    }
}

/// An error on decrypting. Some tokens have no better word than a general one for a tag that does not verify.
pub(super) fn undecryptable(reference: &str) -> impl FnOnce(Error) -> Problem {
    move |error| match error {
        Error::Pkcs11(
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::GeneralError
            | RvError::FunctionFailed,
            Function::Decrypt,
        ) => Problem::corrupt(format!("the copy for {reference} does not verify under that key"))
            .remedy("see whether the key in the token was replaced; if not, restore the volume's deed"),
        error => saying("unwrapping a key")(error),
    }
}

/// What can go wrong with PINs.
pub(super) mod login {
    use cofferdam_model::Problem;
    use std::path::Path;

    pub(in super::super) fn wrong_pin(token: &str, file: &Path) -> Problem {
        Problem::denied(format!(
            "the token {token} says that the PIN in {} is wrong",
            file.display()
        ))
        .remedy("write the user PIN there and start this again; it is not tried before, lest the token lock")
    }

    pub(in super::super) fn refused_before(token: &str, file: &Path) -> Problem {
        wrong_pin(token, file).context("not tried again")
    }

    pub(in super::super) fn locked(token: &str) -> Problem {
        Problem::denied(format!("the token {token} is locked after too many wrong PINs"))
            .remedy("set a new user PIN with the security officer's, then write it into the PIN file")
    }

    pub(in super::super) fn last_try(token: &str) -> Problem {
        Problem::denied(format!(
            "one more wrong PIN would lock the token {token}, so none is tried"
        ))
        .remedy("log in once by hand, which sets the count back")
    }
}
