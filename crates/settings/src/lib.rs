//! Reads the settings file, which only root may write.
//!
//! What the settings are, and their defaults, stands in `cofferdam_model::Settings`.

use cofferdam_linux::file;
use cofferdam_model::{Problem, Result, Settings};
use std::io;
use std::path::Path;

/// The longest settings file, in bytes.
const LENGTH_MAX: usize = 1 << 20;

/// The settings in `named`, or in the default place. A default file that is missing means all defaults; a named
/// one has to exist.
///
/// # Errors
/// `invalid` where the file cannot be trusted, read or parsed; the message names it.
pub fn load(named: Option<&Path>) -> Result<Settings> {
    let path = named.unwrap_or(Path::new(Settings::DEFAULT_FILE));
    let fail = |error: io::Error| {
        Problem::invalid(format!("cannot use the settings in {}: {error}", path.display()))
    };
    let file = match file::open_trusted(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Settings::default());
        }
        file => file.map_err(fail)?,
    };
    let bytes = file::read_limited(file, LENGTH_MAX).map_err(fail)?;
    let text = String::from_utf8(bytes).map_err(|_| fail(io::Error::other("it is not UTF-8")))?;
    Settings::parse(&text)
        .map_err(|problem| problem.context(format_args!("cannot use the settings in {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_named_file_has_to_exist_and_to_be_roots() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        assert!(load(Some(&path)).is_err());
        std::fs::write(&path, "[runtime]\ntimeout_ms = 7\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(load(Some(&path)).unwrap().runtime.timeout_ms, 7);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o646)).unwrap();
        assert!(load(Some(&path)).unwrap_err().message.contains("config.toml"));
    }
}
